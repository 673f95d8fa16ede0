"""How late packets left, from when each passed the socket. Owns the arithmetic; opens no socket.

A caller's ideal schedule is one packet per 20 ms of its RTP time; where it begins is the first
percentile of what was seen, so that the best packets define "on time". A clock that is behind for
good is thereby late more and more, and a constant delay is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

FRAME_NS = 20_000_000
_TICKS_PER_S = 48_000
_EDGE_NS = 100_000_000
_BIN_NS = 500_000_000


class Passed(msgspec.Struct, frozen=True):
    """One caller's packets in the order in which they passed."""

    at_ns: Sequence[int]
    """Wall clock of the kernel."""
    timestamps: Sequence[int]
    """RTP, 48 kHz, wraps at 2**32."""


class Lateness(msgspec.Struct, frozen=True, kw_only=True):
    """Over all packets of all callers in a window."""

    callers: int
    """Who sent anything in it."""
    packets_per_s: float
    """Mean over the callers that should have sent."""
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0
    max_ms: float = 0.0
    bin_p99_ms: float = 0.0
    """Median over half seconds of their p99: what remains when single bursts are left out."""


def lateness(passed: Sequence[Passed], callers: int, from_ns: int, until_ns: int) -> Lateness:
    """Of the packets that passed in [from_ns, until_ns), by `callers` callers."""
    late: list[np.ndarray] = []
    when: list[np.ndarray] = []
    rates: list[float] = []
    for one in passed:
        at_ns = np.asarray(one.at_ns, np.int64)
        inside = (at_ns >= from_ns) & (at_ns < until_ns)
        at_ns = at_ns[inside]
        if len(at_ns) < 2:
            continue
        when.append(at_ns)
        late.append(_late_ms(at_ns, np.asarray(one.timestamps, np.int64)[inside]))
        rates.append(_rate_per_s(at_ns, from_ns, until_ns))
    if not late:
        return Lateness(callers=0, packets_per_s=0.0)
    all_late, all_when = np.concatenate(late), np.concatenate(when)
    bins = (all_when - from_ns) // _BIN_NS
    by_bin = [np.percentile(all_late[bins == number], 99) for number in np.unique(bins)]
    p50, p99, p999 = np.percentile(all_late, (50, 99, 99.9))
    return Lateness(
        callers=len(rates),
        packets_per_s=sum(rates) / callers,
        p50_ms=float(p50),
        p99_ms=float(p99),
        p999_ms=float(p999),
        max_ms=float(all_late.max()),
        bin_p99_ms=float(np.median(by_bin)),
    )


def _late_ms(at_ns: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
    ticks = (timestamps - timestamps[0] + (1 << 31)) % (1 << 32) - (1 << 31)
    base_ns = at_ns - at_ns[0] - ticks * 1_000_000_000 // _TICKS_PER_S
    late: np.ndarray = np.maximum(base_ns - np.percentile(base_ns, 1), 0) / 1e6
    return late


def _rate_per_s(at_ns: np.ndarray, from_ns: int, until_ns: int) -> float:
    """Packets per second, free of the window's edges where the caller sent up to both of them."""
    first_ns, last_ns = int(at_ns[0]), int(at_ns[-1])
    if first_ns - from_ns > _EDGE_NS or until_ns - last_ns > _EDGE_NS:
        return len(at_ns) / ((until_ns - from_ns) / 1e9)
    return (len(at_ns) - 1) / ((last_ns - first_ns) / 1e9)
