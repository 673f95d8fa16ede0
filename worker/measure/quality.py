"""How the agent's speech sounds: level, peak, clipping, dropouts. Judges nothing."""

from __future__ import annotations

import msgspec
import numpy as np

from worker.measure.segments import RATE_HZ, SILENT_DBFS, Levels, Pcm, Segment, runs, window_levels

CLIPPED_AT = 0.85
"""Opus rounds the flat tops of clipped sound: if 0.9 % of a source lie at full scale, 0.04 % come
out of the decoder at 0.999, but 0.95 % in runs above 0.85. Unclipped voices that peak at full scale
stay below 0.1 %, voices with a limiter at 0.0 % (measured on espeak-ng at 24 to 64 kb/s)."""
CLIPPED_RUN = 3
NEAR_SILENCE_DBFS = -66.0
DROPOUT_MS = (15, 400)
DIGITAL_SILENCE = 2e-5
"""Less than one step of 16 bits: what absent packets leave. Closures of consonants come out of Opus
at 3e-5 and more (measured on espeak-ng, 24 to 96 kb/s), or, seldom, as one whole silent frame."""
RINGING_MS = 4
"""How far the resampler smears an edge into the silence beside it."""
STEEP_FALL_MS = 2
STEEP_RISE_MS = 5
STEEP_BELOW_SPEECH_DB = 18.0
"""Both sides of a dropout are speech at full swing; speech that ends by itself fades."""


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """None throughout where the agent never spoke."""

    level_dbfs: float | None = None
    """RMS of the spoken stretches."""
    peak_dbfs: float | None = None
    clipped_percent: float | None = None
    dropouts_per_min: float | None = None
    """Per minute of speech."""


def quality_of(pcm: Pcm, speech: list[Segment]) -> Quality:
    """Quality of mono 16 kHz PCM where it is speech; `speech` in ms of the PCM's own time."""
    spoken = [pcm[_sample(segment.start_ms) : _sample(segment.end_ms)] for segment in speech]
    samples = np.concatenate(spoken) if spoken else np.zeros(0, dtype=np.float32)
    if not samples.size:
        return Quality()
    level_dbfs = _dbfs(float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))
    minutes = samples.size / RATE_HZ / 60
    return Quality(
        level_dbfs=round(level_dbfs, 1),
        peak_dbfs=round(_dbfs(float(np.max(np.abs(samples)))), 1),
        clipped_percent=round(100 * _clipped(samples) / samples.size, 3),
        dropouts_per_min=round(len(dropouts(pcm, level_dbfs)) / minutes, 2),
    )


def dropouts(pcm: Pcm, speech_dbfs: float) -> list[Segment]:
    """Digital silence of 15 to 400 ms that speech falls into and comes out of at once.

    Meant for decoded Opus, which leaves traces in the silences that voices make themselves;
    straight from a synthesiser, closures of consonants look the same as absent packets.
    """
    levels_dbfs = window_levels(pcm, 1)
    shortest, longest = DROPOUT_MS
    starts, ends = runs(levels_dbfs < NEAR_SILENCE_DBFS)
    return [
        Segment(float(start), float(end))
        for start, end in zip(starts, ends, strict=True)
        if shortest <= end - start <= longest
        and _is_digital_silence(pcm, int(start), int(end))
        and _steep(levels_dbfs, int(start), int(end), speech_dbfs - STEEP_BELOW_SPEECH_DB)
    ]


def _is_digital_silence(pcm: Pcm, start: int, end: int) -> bool:
    inside = pcm[_sample(start + RINGING_MS) : _sample(end - RINGING_MS)]
    return bool(np.max(np.abs(inside)) < DIGITAL_SILENCE)


def _steep(levels_dbfs: Levels, start: int, end: int, loud_dbfs: float) -> bool:
    before = levels_dbfs[max(start - STEEP_FALL_MS, 0) : start]
    after = levels_dbfs[end : end + STEEP_RISE_MS]
    return bool(
        before.size and after.size and before.max() >= loud_dbfs and after.max() >= loud_dbfs
    )


def _clipped(samples: Pcm) -> int:
    """How many samples lie in runs of three or more at full scale."""
    starts, ends = runs(np.abs(samples) >= CLIPPED_AT)
    lengths = ends - starts
    return int(lengths[lengths >= CLIPPED_RUN].sum())


def _sample(ms: float) -> int:
    return round(ms * RATE_HZ / 1000)


def _dbfs(amplitude: float) -> float:
    return float(max(20 * np.log10(max(amplitude, 1e-9)), SILENT_DBFS))
