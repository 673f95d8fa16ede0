"""Where the agent speaks. Owns detection in its PCM and the merge into turns; knows no metric.

Energy with hysteresis over 10 ms windows, above a floor taken from the call itself. Right for clean
synthetic voices; speech in the background of the agent's channel is taken for the agent's.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

RATE_HZ = 16_000
DETECTOR = "energy-10ms-offline"
EDGE_DBFS = -45.0
"""A sound begins and ends where it crosses this level."""
WINDOW_MS = 10
EDGE_WINDOW_MS = 1
HYSTERESIS_DB = 6.0
ABOVE_FLOOR_DB = 9.0
"""Speech has to stand so far over the noise under it."""
BELOW_SPEECH_DB = 12.0
"""A floor inside speech (a monologue without pauses) must not raise the threshold beyond this."""
MIN_SPEECH_MS = 90.0
MIN_SILENCE_MS = 250.0
MAX_PAUSE_IN_TURN_MS = 600.0
"""Longer than offline voices pause between sentences (measured: up to 365 ms)."""
SILENT_DBFS = -100.0
_CLICK_WINDOWS = 1
_STEADY_DB = 4.0
_HUM_BELOW_DBFS = -25.0

Pcm = npt.NDArray[np.float32]


class Segment(msgspec.Struct, frozen=True, gc=False):
    """A stretch of the call in which one side speaks; ms of the call's clock."""

    start_ms: float
    end_ms: float

    @property
    def length_ms(self) -> float:
        """From start to end."""
        return self.end_ms - self.start_ms


def speech_segments(pcm: Pcm) -> list[Segment]:
    """Speech in mono 16 kHz PCM, with edges at -45 dBFS or, where noise is louder, above its floor.

    Pauses under 250 ms are inside a segment; sounds under 90 ms are none.
    """
    levels_dbfs = window_levels(pcm, WINDOW_MS)
    on_dbfs = _threshold(levels_dbfs)
    if on_dbfs is None:
        return []
    regions = _hysteresis(levels_dbfs, on_dbfs)
    fine_dbfs = window_levels(pcm, EDGE_WINDOW_MS)
    segments = [_refined(start, end, fine_dbfs, on_dbfs) for start, end in regions]
    joined = joined_over(segments, MIN_SILENCE_MS)
    return [segment for segment in joined if segment.length_ms >= MIN_SPEECH_MS]


def joined_over(segments: list[Segment], below_ms: float) -> list[Segment]:
    """The segments with every gap shorter than `below_ms` closed."""
    joined: list[Segment] = []
    for segment in segments:
        if joined and segment.start_ms - joined[-1].end_ms < below_ms:
            joined[-1] = Segment(joined[-1].start_ms, max(joined[-1].end_ms, segment.end_ms))
        else:
            joined.append(segment)
    return joined


def merged_turns(agent: list[Segment], caller: list[Segment]) -> list[Segment]:
    """The agent's turns: segments at most 600 ms apart with no caller speech between them."""
    turns: list[Segment] = []
    for segment in agent:
        if turns and _same_turn(turns[-1], segment, caller):
            turns[-1] = Segment(turns[-1].start_ms, segment.end_ms)
        else:
            turns.append(segment)
    return turns


def window_levels(pcm: Pcm, window_ms: int) -> npt.NDArray[np.float64]:
    """RMS of each whole window in dBFS (sine at full scale: -3), never below -100."""
    size = RATE_HZ * window_ms // 1000
    whole = pcm[: len(pcm) // size * size].astype(np.float64).reshape(-1, size)
    power = np.einsum("ij,ij->i", whole, whole) / size
    levels: npt.NDArray[np.float64] = 10 * np.log10(np.maximum(power, 10 ** (SILENT_DBFS / 10)))
    return levels


def _threshold(levels_dbfs: npt.NDArray[np.float64]) -> float | None:
    """The level at which speech starts; None where there is no speech at all."""
    audible = levels_dbfs[levels_dbfs > EDGE_DBFS]
    if not audible.size:
        return None
    floor_dbfs = float(np.percentile(levels_dbfs, 10))
    speech_dbfs = float(np.percentile(audible, 95))
    if speech_dbfs - floor_dbfs < _STEADY_DB and speech_dbfs < _HUM_BELOW_DBFS:
        return None
    above_floor = min(floor_dbfs + ABOVE_FLOOR_DB, speech_dbfs - BELOW_SPEECH_DB)
    return max(EDGE_DBFS, above_floor)


def _hysteresis(levels_dbfs: npt.NDArray[np.float64], on_dbfs: float) -> list[tuple[int, int]]:
    """Half-open ranges of windows: above the lower threshold, and reaching the upper one."""
    starts, ends = runs(levels_dbfs >= on_dbfs - HYSTERESIS_DB)
    loud = np.concatenate(([0], np.cumsum(levels_dbfs >= on_dbfs)))
    return [
        (int(start), int(end))
        for start, end in zip(starts, ends, strict=True)
        if loud[end] - loud[start] > _CLICK_WINDOWS
    ]


def _refined(start: int, end: int, fine_dbfs: npt.NDArray[np.float64], edge_dbfs: float) -> Segment:
    """The range's first and last millisecond at the edge level; one window more on either side."""
    per_window = WINDOW_MS // EDGE_WINDOW_MS
    first = max(start - 1, 0) * per_window
    above = np.flatnonzero(fine_dbfs[first : (end + 1) * per_window] >= edge_dbfs)
    return Segment(
        float((first + above[0]) * EDGE_WINDOW_MS), float((first + above[-1] + 1) * EDGE_WINDOW_MS)
    )


def runs(flags: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Starts and ends (exclusive) of the runs of True."""
    padded = np.concatenate(([False], flags, [False])).astype(np.int8)
    steps = np.diff(padded)
    return np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)


def _same_turn(turn: Segment, segment: Segment, caller: list[Segment]) -> bool:
    if segment.start_ms - turn.end_ms > MAX_PAUSE_IN_TURN_MS:
        return False
    return not any(
        spoken.start_ms < segment.start_ms and spoken.end_ms > turn.end_ms for spoken in caller
    )
