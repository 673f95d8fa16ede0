"""From a sound request to its clip. Owns the steps' order: voice, level, noise, limit, encode.

Everything here blocks and costs CPU: only the studio calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soxr

from shared.persona import Noise
from worker.media.clip import PACKET_MS, Clip
from worker.media.effects import at_snr, levelled, limited, with_noise
from worker.media.loudness import Pcm, audible_edges_ms, packet_levels
from worker.media.noises import LOOP_SAMPLES, noise_loop
from worker.media.opus import (
    FRAME_SAMPLES,
    LOOKAHEAD_MS,
    LOOKAHEAD_SAMPLES,
    RATE_HZ,
    MonoDecoder,
    OpusError,
    encode_packets,
    read_sound,
)
from worker.media.sound import Bed, Sound, SoundRequest, Spoken
from worker.speech.voices import VoiceError, Voices

SILENCE_DBFS = -80.0
"""A bed without noise is as quiet as a good line, and not digitally dead."""
SILENCE_FRAMES = 50
LOOPS_KEPT = 12
OWN_LOOP_S = 30
_CODED_DBFS = -38.0
"""Where noise usually lies: 15 dB under speech of -23 dBFS."""


class RenderingError(Exception):
    """The request cannot be made into sound; the text is for people."""


class Renderer:
    """Makes clips; remembers noise loops."""

    def __init__(self, voices: Voices) -> None:
        self._voices = voices
        self._loops: dict[str, Pcm] = {}

    def render(self, request: SoundRequest, assets: Mapping[str, Path]) -> Clip:
        """The clip of a request; `assets` has a file for each of `assets_of(request)`.

        Raises `RenderingError`. The same request and files give the same bytes.
        """
        try:
            if isinstance(request, Bed):
                return self._bed(request, assets)
            return self._utterance(request, assets)
        except (VoiceError, OpusError) as error:
            raise RenderingError(str(error)) from error

    def _utterance(self, request: Spoken | Sound, assets: Mapping[str, Path]) -> Clip:
        pcm = self._dry(request, assets)
        edges = audible_edges_ms(pcm, RATE_HZ)
        pcm = np.concatenate([pcm, np.zeros(LOOKAHEAD_SAMPLES, np.float32)])
        if request.noise is not None:
            noise = self._noise(request.noise, request.level_dbfs, assets)
            # Another stretch of the noise under each utterance, and always the same one.
            pcm = with_noise(pcm, noise, int(request.hash[:8], 16) % len(noise))
        pcm = limited(pcm)
        start_ms, end_ms = edges or (0.0, 0.0)
        delay_ms = LOOKAHEAD_MS if edges else 0.0
        packets = encode_packets(pcm)
        return Clip(
            request.hash,
            packets,
            packet_levels(pcm, RATE_HZ)[: len(packets)],
            start_ms + delay_ms,
            end_ms + delay_ms,
        )

    def _dry(self, request: Spoken | Sound, assets: Mapping[str, Path]) -> Pcm:
        if isinstance(request, Sound):
            pcm = read_sound(_file(assets, request.asset))
            return pcm if request.as_recorded else levelled(pcm, RATE_HZ, request.level_dbfs)
        spoken = self._voices.speak(request.text, request.voice, request.speed, request.pitch)
        if not spoken.pcm.any():
            raise RenderingError("the voice made no sound of these words")
        pcm = soxr.resample(spoken.pcm, spoken.rate_hz, RATE_HZ)
        return levelled(pcm, RATE_HZ, request.level_dbfs)

    def _bed(self, request: Bed, assets: Mapping[str, Path]) -> Clip:
        if request.noise is None:
            loop = at_snr(noise_loop("pink", self._voices), SILENCE_DBFS, 0.0)[
                : SILENCE_FRAMES * FRAME_SAMPLES
            ]
        else:
            loop = self._noise(request.noise, request.level_dbfs, assets)
        loop = limited(loop[: len(loop) // FRAME_SAMPLES * FRAME_SAMPLES])
        count = len(loop) // FRAME_SAMPLES
        # Encoded twice over, the second time kept: at its seam the decoder finds what it expects.
        packets = encode_packets(np.concatenate([loop, loop]))[count:]
        return Clip(request.hash, packets, packet_levels(loop, RATE_HZ))

    def _noise(self, noise: Noise, speech_dbfs: float, assets: Mapping[str, Path]) -> Pcm:
        name = noise.kind or noise.clip or ""
        if name not in self._loops:
            raw = noise_loop(name, self._voices) if noise.kind else _own_loop(name, assets)
            while len(self._loops) >= LOOPS_KEPT:
                del self._loops[next(iter(self._loops))]
            self._loops[name] = _as_loud_once_coded(raw)
        return at_snr(self._loops[name], speech_dbfs, noise.snr_db)


def _as_loud_once_coded(loop: Pcm) -> Pcm:
    """The loop raised by what Opus takes away: its speech mode thins out noise by up to 5 dB."""
    quiet = at_snr(loop, _CODED_DBFS, 0.0)
    decoder = MonoDecoder()
    heard = np.concatenate([decoder.decode(packet) for packet in encode_packets(quiet)])
    rms = float(np.sqrt(np.square(heard / 32768.0).mean()))
    return (loop * (10 ** (_CODED_DBFS / 20) / rms)).astype(np.float32)


def _own_loop(name: str, assets: Mapping[str, Path]) -> Pcm:
    """A user's noise as a loop: its first 30 s; under 1 s it is repeated to fill 5 s."""
    pcm = read_sound(_file(assets, name))[: OWN_LOOP_S * RATE_HZ]
    rms = float(np.sqrt(np.square(pcm, dtype=np.float64).mean()))
    if rms <= 0.0:
        raise RenderingError("the noise file holds only silence")
    loop = pcm / rms
    if len(loop) < RATE_HZ:
        loop = np.resize(loop, LOOP_SAMPLES)
    return loop.astype(np.float32)


def _file(assets: Mapping[str, Path], name: str) -> Path:
    try:
        return assets[name]
    except KeyError:
        raise RenderingError(f"the sound file {name or '(none)'} is not at hand") from None


assert FRAME_SAMPLES * 1000 == PACKET_MS * RATE_HZ
