"""How loud sound is: RMS, RFC 6464 levels, audible edges. Owns the arithmetic, changes no sound."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker.media.clip import PACKET_MS

Pcm = npt.NDArray[np.float32]

AUDIBLE_DBFS = -45.0
"""A sound begins and ends where it crosses this level."""
SILENT_DBFS = -127.0
EDGE_WINDOW_MS = 1
ACTIVE_WINDOW_MS = 20


def dbfs(rms: float) -> float:
    """Level of a linear RMS where 1.0 is full scale; never below -127."""
    if rms <= 10 ** (SILENT_DBFS / 20):
        return SILENT_DBFS
    return 20.0 * float(np.log10(rms))


def window_rms(pcm: Pcm, window: int) -> Pcm:
    """Linear RMS of each `window` samples; the last window is filled up with silence."""
    if not len(pcm):
        return np.zeros(0, np.float32)
    padded = np.zeros(-(-len(pcm) // window) * window, np.float32)
    padded[: len(pcm)] = pcm
    rms: Pcm = np.sqrt(np.square(padded.reshape(-1, window)).mean(axis=1))
    return rms


def audible_edges_ms(pcm: Pcm, rate_hz: int) -> tuple[float, float] | None:
    """Start of the first and end of the last 1 ms over -45 dBFS; None: nothing is audible."""
    window = rate_hz * EDGE_WINDOW_MS // 1000
    loud = np.flatnonzero(window_rms(pcm, window) > 10 ** (AUDIBLE_DBFS / 20))
    if not len(loud):
        return None
    return float(loud[0] * EDGE_WINDOW_MS), float((loud[-1] + 1) * EDGE_WINDOW_MS)


def active_rms(pcm: Pcm, rate_hz: int) -> float:
    """RMS over the 20 ms windows within 30 dB of the loudest one: speech without pauses."""
    levels = window_rms(pcm, rate_hz * ACTIVE_WINDOW_MS // 1000)
    if not len(levels) or levels.max() <= 0.0:
        return 0.0
    active = levels[levels > levels.max() * 10 ** (-30 / 20)]
    return float(np.sqrt(np.square(active).mean()))


def packet_levels(pcm: Pcm, rate_hz: int) -> bytes:
    """RFC 6464 level of each 20 ms: dB below overload, 0 to 127."""
    levels = window_rms(pcm, rate_hz * PACKET_MS // 1000)
    return bytes(min(127, max(0, round(-dbfs(float(level))))) for level in levels)
