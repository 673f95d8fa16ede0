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
    OpusError,
    encode_packets,
    read_sound,
)
from worker.media.sound import Bed, Sound, SoundRequest, Spoken
from worker.speech.voices import VoiceError, Voices

SILENCE_DBFS = -80.0
"""A bed without noise is as quiet as a good line, and not digitally dead."""
SILENCE_FRAMES = 50


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
        if not len(spoken.pcm):
            raise RenderingError("the voice made no sound of these words")
        pcm = soxr.resample(spoken.pcm, spoken.rate_hz, RATE_HZ)
        return levelled(pcm, RATE_HZ, request.level_dbfs)

    def _bed(self, request: Bed, assets: Mapping[str, Path]) -> Clip:
        if request.noise is None:
            loop = at_snr(self._loop("pink"), SILENCE_DBFS, 0.0)[: SILENCE_FRAMES * FRAME_SAMPLES]
        else:
            loop = self._noise(request.noise, request.level_dbfs, assets)
        loop = limited(loop[: len(loop) // FRAME_SAMPLES * FRAME_SAMPLES])
        count = len(loop) // FRAME_SAMPLES
        # Encoded twice over, the second time kept: at its seam the decoder finds what it expects.
        packets = encode_packets(np.concatenate([loop, loop]))[count:]
        return Clip(request.hash, packets, packet_levels(loop, RATE_HZ))

    def _noise(self, noise: Noise, speech_dbfs: float, assets: Mapping[str, Path]) -> Pcm:
        loop = self._loop(noise.kind) if noise.kind else _own_loop(noise, assets)
        return at_snr(loop, speech_dbfs, noise.snr_db)

    def _loop(self, kind: str) -> Pcm:
        if kind not in self._loops:
            self._loops[kind] = noise_loop(kind, self._voices)
        return self._loops[kind]


def _own_loop(noise: Noise, assets: Mapping[str, Path]) -> Pcm:
    """A user's noise as a loop: whole, if it is at least 1 s, else repeated to fill 8 s."""
    pcm = read_sound(_file(assets, noise.clip or ""))
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
