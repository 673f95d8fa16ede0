"""Two-sided calls with known edges: an agent's voice-like PCM and a caller's log."""

from __future__ import annotations

import numpy as np
import soxr

from worker.measure.measure import OPUS_LOOKAHEAD_MS
from worker.measure.segments import RATE_HZ, Pcm
from worker.media.caller_turn import CallerTurn, CallerTurnKind
from worker.media.opus import MonoDecoder, encode_packets


def voice(length_ms: float, *, level_dbfs: float = -20.0, seed: int = 1) -> Pcm:
    """A buzz with syllables, 16 kHz, above -45 dBFS from its first to its last millisecond."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(length_ms * RATE_HZ / 1000)) / RATE_HZ
    pitch_hz = 120 + 15 * np.sin(2 * np.pi * 0.7 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    buzz = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 15))
    breath = 0.05 * rng.standard_normal(time_s.size)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * time_s + rng.uniform(0, 6))
    pcm = (np.asarray(buzz) + breath) * (0.15 + syllables)
    scaled = pcm * 10 ** (level_dbfs / 20) / np.sqrt(np.mean(np.square(pcm)))
    return np.asarray(scaled, dtype=np.float32)


def agent_channel(*spoken: tuple[float, float], duration_ms: float, noise: float = 0.0) -> Pcm:
    """PCM as decoded: each stretch (start and end in ms) comes 6.5 ms late, as out of Opus.

    `noise`: RMS of white noise under all of it, 1.0 = full scale.
    """
    pcm = np.zeros(round(duration_ms * RATE_HZ / 1000), dtype=np.float32)
    for number, (start_ms, end_ms) in enumerate(spoken):
        sound = voice(end_ms - start_ms, seed=number)
        first = round((start_ms + OPUS_LOOKAHEAD_MS) * RATE_HZ / 1000)
        kept = sound[: max(len(pcm) - first, 0)]
        pcm[first : first + len(kept)] += kept
    if noise:
        pcm += np.random.default_rng(7).normal(0, noise, len(pcm)).astype(np.float32)
    return pcm


def said(
    start_ms: float,
    end_ms: float,
    kind: CallerTurnKind = "turn",
    *,
    over_agent: bool = False,
    text: str | None = "hello",
) -> CallerTurn:
    """One entry of the caller's log."""
    return CallerTurn(
        step=0,
        kind=kind,
        start_ms=start_ms,
        end_ms=end_ms,
        text=text,
        agent_was_speaking=over_agent,
    )


def decoded(pcm_48k: Pcm, *, lost: frozenset[int] = frozenset()) -> Pcm:
    """48 kHz sound through real Opus, as 16 kHz; packets that are lost leave zeros."""
    decoder = MonoDecoder()
    frames = [
        np.zeros(960, dtype=np.int16) if number in lost else decoder.decode(packet)
        for number, packet in enumerate(encode_packets(pcm_48k))
    ]
    samples = np.concatenate(frames).astype(np.float32) / 32768
    return np.asarray(soxr.resample(samples, 48_000, RATE_HZ), dtype=np.float32)
