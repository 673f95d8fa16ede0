"""Text to Opus packets, with espeak-ng. Owns synthesis and encoding; no call may wait for them.

Every line is spoken once, when the agent starts. A call then only passes finished packets on, which
is why one process can hold many calls.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator

import av
import espeakng_loader
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono, -1 to 1."""

OPUS_HZ = 48_000
FRAME_SAMPLES = 960
"""20 ms: one Opus packet, one RTP packet."""
LEVEL_DBFS = -23.0
QUIET = 0.003
"""Amplitude (about -50 dBFS) under which the ends of a line count as silence and are cut off."""

# Numbers of espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_RATE = 1
_UTF8 = 1
_OK = 0
_ON_SAMPLES = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Voice:
    """One espeak-ng voice. espeak-ng keeps global state: make one per process."""

    def __init__(self, name: str = "en-us", words_per_minute: int = 165) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.hz: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0)
        if self.hz <= 0 or self._library.espeak_SetVoiceByName(name.encode()) != _OK:
            raise RuntimeError(f"espeak-ng has no voice {name!r}")
        self._library.espeak_SetParameter(_RATE, words_per_minute, 0)

    def speak(self, text: str) -> Samples:
        """The text as sound at `hz`, without silence at its ends, at LEVEL_DBFS (RMS)."""
        heard = bytearray()

        def keep(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: object) -> int:
            if count > 0:
                heard.extend(ctypes.string_at(samples, count * 2))
            return 0

        callback = _ON_SAMPLES(keep)
        self._library.espeak_SetSynthCallback(callback)
        encoded = text.encode()
        self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 0, 0, _UTF8, None, None)
        samples: Samples = np.frombuffer(heard, np.int16).astype(np.float32) / np.float32(32768)
        loud = np.flatnonzero(np.abs(samples) > QUIET)
        samples = samples[loud[0] : loud[-1] + 1]
        rms = float(np.sqrt(np.mean(samples**2)))
        return louder(samples, LEVEL_DBFS - 20 * math.log10(rms))


def louder(samples: Samples, gain_db: float) -> Samples:
    """Amplified, and cut off at full scale: 40 dB too much makes a square wave of any voice."""
    amplified: Samples = samples * np.float32(10 ** (gain_db / 20))
    return amplified.clip(-1, 1)


def packets(samples: Samples, hz: int) -> list[bytes]:
    """Mono Opus, one packet per 20 ms, at 48 kHz."""
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.format, codec.layout, codec.sample_rate = "s16", "mono", OPUS_HZ
    codec.bit_rate = 48_000
    codec.options = {"application": "voip"}
    encoded: list[bytes] = []
    for frame in _frames(samples, hz):
        encoded += [bytes(packet) for packet in codec.encode(frame)]
    return encoded + [bytes(packet) for packet in codec.encode(None)]


def silence() -> bytes:
    """One packet of silence; the encoder's second, when its start-up is over."""
    return packets(np.zeros(FRAME_SAMPLES * 3, np.float32), OPUS_HZ)[1]


def _frames(samples: Samples, hz: int) -> Iterator[av.AudioFrame]:
    """20 ms frames at 48 kHz; 20 ms of silence at the end take the words through the resampler."""
    padded = np.append(samples, np.zeros(hz // 50, np.float32))
    whole = av.AudioFrame.from_ndarray(
        (padded * 32767).astype(np.int16)[np.newaxis], format="s16", layout="mono"
    )
    whole.sample_rate = hz
    resampler = av.AudioResampler("s16", "mono", OPUS_HZ, frame_size=FRAME_SAMPLES)
    yield from resampler.resample(whole)  # what is left inside is shorter than a frame
