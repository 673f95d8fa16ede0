"""What the ruler says, as Opus packets with exactly known edges. Owns synthesis and encoding.

Each sound begins and ends with its own audible edge, and is encoded 20 times with 0 to 19 ms of
silence before it, so that it can begin at any millisecond of a stream of 20 ms packets.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import ClassVar

import av
import espeakng_loader
import msgspec
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE_HZ = 48_000
FRAME = 960
MS = 48
LEADS_MS = 20
LEVEL_DBFS = -23.0
AUDIBLE = 10 ** (-45 / 20)
SPOKEN = {
    "greeting": "Good evening, you have reached the ruler",
    "short": "Certainly, at what time",
    "brief": "Thank you",
    "long": "We are open every day from noon until late in the evening and our kitchen never rests",
}


class Sound(msgspec.Struct, frozen=True):
    """One sound, with one encoding for each lead."""

    name: str
    samples: int
    edges_ms: tuple[float, float]
    """First and last audible moment, without the lead."""
    audible: NDArray[np.bool_]
    """For each millisecond, without the lead: over -45 dBFS."""
    encodings: tuple[list[bytes], ...]
    """By lead in ms."""

    def audible_within(self, lead_ms: int, packet: int) -> tuple[float, float] | None:
        """First and last audible ms within one packet, from its start; None: nothing is."""
        begin = packet * 20 - lead_ms
        ms = np.flatnonzero(self.audible[max(begin, 0) : max(begin + 20, 0)])
        if not len(ms):
            return None
        offset = max(-begin, 0)
        return float(ms[0] + offset), float(ms[-1] + 1 + offset)


@cache
def sound(name: str) -> Sound:
    """A sound by its name: the spoken ones, `sharp`, `soft` and `click`."""
    if name in SPOKEN:
        samples = _spoken(SPOKEN[name])
    elif name == "click":
        samples = _click()
    else:
        samples = _modulated(1.6, ramp_s={"sharp": 0.002, "soft": 0.12}[name])
    audible = audible_ms(samples)
    first = np.flatnonzero(audible)[0]
    samples = samples[first * MS :]
    audible = audible[first:]
    encodings = tuple(
        encoded(np.append(np.zeros(lead * MS, np.float32), samples)) for lead in range(LEADS_MS)
    )
    last = float(np.flatnonzero(audible)[-1] + 1)
    return Sound(name, len(samples), (0.0, last), audible, encodings)


@cache
def silence() -> bytes:
    """One packet of silence, the encoder's start-up behind it."""
    return encoded(np.zeros(FRAME * 3, np.float32))[1]


def audible_ms(samples: Samples) -> NDArray[np.bool_]:
    """For each whole millisecond, whether its RMS is over -45 dBFS."""
    whole = samples[: len(samples) // MS * MS].reshape(-1, MS)
    loud: NDArray[np.bool_] = np.sqrt(np.square(whole).mean(axis=1)) > AUDIBLE
    return loud


def encoded(samples: Samples) -> list[bytes]:
    """Mono Opus in 20 ms packets; a packet more than it fills, for the look-ahead."""
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, AudioCodecContext)
    codec.format, codec.layout, codec.sample_rate = "s16", "mono", RATE_HZ
    codec.bit_rate = 48_000
    codec.options = {"application": "voip", "frame_duration": "20"}
    padded = np.zeros((len(samples) // FRAME + 2) * FRAME, np.float32)
    padded[: len(samples)] = samples
    packets = []
    for block in (padded * 32767).astype(np.int16).reshape(-1, FRAME):
        frame = av.AudioFrame.from_ndarray(block[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


def decoder() -> AudioCodecContext:
    """For one stream; 48 kHz mono."""
    codec = av.CodecContext.create("libopus", "r")
    assert isinstance(codec, AudioCodecContext)
    codec.layout, codec.sample_rate = "mono", RATE_HZ
    return codec


def decoded(codec: AudioCodecContext, payload: bytes) -> Samples:
    """One packet as sound."""
    frames = codec.decode(av.Packet(payload))
    parts = [np.frombuffer(memoryview(one.planes[0]), np.int16, one.samples) for one in frames]
    whole = np.concatenate(parts) if parts else np.zeros(0, np.int16)
    return (whole / np.float32(32768)).astype(np.float32)


def _click() -> Samples:
    """30 ms of 1 kHz at -12 dBFS, all at once."""
    t = np.arange(30 * MS) / RATE_HZ
    return (0.25 * np.sign(np.sin(2 * np.pi * 1000 * t)) * 0.9).astype(np.float32)


def _modulated(length_s: float, ramp_s: float) -> Samples:
    """Harmonics of 140 Hz in syllables of 250 ms, with an onset and an end of `ramp_s`."""
    t = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
    voice = sum(np.sin(2 * np.pi * 140 * k * t + k) / k for k in range(1, 12))
    syllables = 0.65 + 0.35 * np.cos(2 * np.pi * 4 * t)
    edge = np.minimum(t, length_s - t) / ramp_s
    shaped = voice * syllables * np.sin(np.clip(edge, 0, 1) * np.pi / 2) ** 2
    return _levelled(shaped.astype(np.float32))


def _levelled(samples: Samples) -> Samples:
    loud = samples[np.abs(samples) > 0.003]
    return samples * np.float32(10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(np.square(loud))))


class _Espeak:
    """espeak-ng's library; its state is global, so one per process."""

    _KEEP: ClassVar = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
    )

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.hz: int = self._library.espeak_Initialize(2, 0, data, 0)
        if self.hz <= 0 or self._library.espeak_SetVoiceByName(b"en-us") != 0:
            raise RuntimeError("espeak-ng cannot be used")

    def speak(self, text: str) -> Samples:
        heard = bytearray()

        def keep(wave: ctypes._Pointer[ctypes.c_short], count: int, _events: object) -> int:
            if count > 0:
                heard.extend(ctypes.string_at(wave, count * 2))
            return 0

        callback = self._KEEP(keep)
        self._library.espeak_SetSynthCallback(callback)
        raw = text.encode()
        self._library.espeak_Synth(raw, len(raw) + 1, 0, 0, 0, 1, None, None)
        return np.frombuffer(heard, np.int16).astype(np.float32) / np.float32(32768)


@cache
def _espeak() -> _Espeak:
    return _Espeak()


def _spoken(text: str) -> Samples:
    voice = _espeak()
    samples = voice.speak(text)
    at_hz = np.arange(0, len(samples), voice.hz / RATE_HZ)
    resampled = np.interp(at_hz, np.arange(len(samples)), samples)
    return _levelled(resampled.astype(np.float32))
