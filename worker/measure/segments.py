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
_MOMENT_WINDOWS = 5
_AROUND_WINDOWS = 150
"""1.5 s to either side: longer than speech goes on without a breath."""
_HUM_MS = 1000.0
_STEADY_DB = 6.0
_HUM_BELOW_DBFS = -25.0

Pcm = npt.NDArray[np.float32]
Levels = npt.NDArray[np.float64]


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

    Pauses under 250 ms are inside a segment; sounds under 90 ms and steady quiet ones are none.
    """
    levels_dbfs = window_levels(pcm, WINDOW_MS)
    if not np.any(levels_dbfs > EDGE_DBFS):
        return []
    on_dbfs, off_dbfs = _thresholds(levels_dbfs)
    fine_dbfs = window_levels(pcm, EDGE_WINDOW_MS)
    segments = [
        _refined(start, end, fine_dbfs, on_dbfs)
        for start, end in _hysteresis(levels_dbfs, on_dbfs, off_dbfs)
    ]
    voiced = [segment for segment in segments if not _is_hum(segment, levels_dbfs)]
    joined = joined_over(voiced, MIN_SILENCE_MS)
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


def window_levels(pcm: Pcm, window_ms: int) -> Levels:
    """RMS of each whole window in dBFS (sine at full scale: -3), never below -100."""
    size = RATE_HZ * window_ms // 1000
    whole = pcm[: len(pcm) // size * size].astype(np.float64).reshape(-1, size)
    power = np.einsum("ij,ij->i", whole, whole) / size
    levels: Levels = 10 * np.log10(np.maximum(power, 10 ** (SILENT_DBFS / 10)))
    return levels


def _thresholds(levels_dbfs: Levels) -> tuple[Levels, Levels]:
    """For each window, the level that starts speech and the one below which it has ended."""
    floor_dbfs = _floor(levels_dbfs)
    speech_dbfs = float(np.percentile(levels_dbfs[levels_dbfs > EDGE_DBFS], 95))
    above_floor = np.minimum(floor_dbfs + ABOVE_FLOOR_DB, speech_dbfs - BELOW_SPEECH_DB)
    on_dbfs = np.maximum(EDGE_DBFS, above_floor)
    above_noise = np.minimum(floor_dbfs + ABOVE_FLOOR_DB - HYSTERESIS_DB, on_dbfs)
    return on_dbfs, np.maximum(on_dbfs - HYSTERESIS_DB, above_noise)


def _floor(levels_dbfs: Levels) -> Levels:
    """The quietest moment around each window: what is heard when nobody speaks, as it changes."""
    power = np.pad(10 ** (levels_dbfs / 10), _MOMENT_WINDOWS // 2, mode="edge")
    smooth = np.convolve(power, np.ones(_MOMENT_WINDOWS) / _MOMENT_WINDOWS, mode="valid")
    smooth_dbfs = 10 * np.log10(smooth)
    padded = np.pad(smooth_dbfs, _AROUND_WINDOWS, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND_WINDOWS + 1)
    floor: Levels = around.min(axis=1)
    return floor


def _hysteresis(levels_dbfs: Levels, on_dbfs: Levels, off_dbfs: Levels) -> list[tuple[int, int]]:
    """Half-open ranges of windows: above the lower threshold, and reaching the upper one."""
    starts, ends = runs(levels_dbfs >= off_dbfs)
    loud = np.concatenate(([0], np.cumsum(levels_dbfs >= on_dbfs)))
    return [
        (int(start), int(end))
        for start, end in zip(starts, ends, strict=True)
        if loud[end] - loud[start] > _CLICK_WINDOWS
    ]


def _refined(start: int, end: int, fine_dbfs: Levels, on_dbfs: Levels) -> Segment:
    """The range's first and last millisecond at the edge level; one window more on either side."""
    per_window = WINDOW_MS // EDGE_WINDOW_MS
    first = max(start - 1, 0) * per_window
    edge_dbfs = np.repeat(on_dbfs[max(start - 1, 0) : end + 1], per_window)
    around_dbfs = fine_dbfs[first : first + len(edge_dbfs)]
    # Never empty: a window that reaches the level holds a millisecond that does.
    audible = np.flatnonzero(around_dbfs >= edge_dbfs[: len(around_dbfs)])
    return Segment(
        float(first + audible[0]) * EDGE_WINDOW_MS, float(first + audible[-1] + 1) * EDGE_WINDOW_MS
    )


def _is_hum(segment: Segment, levels_dbfs: Levels) -> bool:
    """Steady and quiet for longer than any vowel: background that began or never stopped."""
    start, end = (round(ms / WINDOW_MS) for ms in (segment.start_ms, segment.end_ms))
    inside_dbfs = levels_dbfs[start + 1 : end - 1]
    if segment.length_ms < _HUM_MS or not inside_dbfs.size:
        return False
    low_dbfs, high_dbfs = np.percentile(inside_dbfs, (5, 95))
    return bool(high_dbfs - low_dbfs < _STEADY_DB and high_dbfs < _HUM_BELOW_DBFS)


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
