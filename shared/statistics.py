"""Statistics of a measure's values, by nearest rank. Refuses to say more than few values can carry.

A percentile over too few values is noise: p95 is None below 20 values, p99 below 100.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from shared.result import STATS, Distribution, Measures

VALUES_NEEDED = {"p95": 20, "p99": 100}
"""How many values a statistic needs; every other one needs a single value, `count` none."""

PER_TURN_MEASURES = tuple(
    field.name
    for field in msgspec.structs.fields(Measures)
    if isinstance(field.default, Distribution)
)
"""Measures with one value per turn (a `Distribution`)."""

PER_CALL_MEASURES = tuple(
    field.name
    for field in msgspec.structs.fields(Measures)
    if not isinstance(field.default, Distribution)
)
"""Measures with at most one value per call."""


def nearest_rank(ordered: Sequence[float], percent: float) -> float:
    """The smallest of the ascending values that at least `percent` of them do not exceed.

    Raises ValueError for no values. Nearest-rank definition: rank = ceil(percent / 100 * n).
    """
    if not ordered:
        raise ValueError("no values to rank")
    rank = math.ceil(percent / 100 * len(ordered) - 1e-9)
    return ordered[max(rank, 1) - 1]


def distribution(values: Iterable[float], *, keep_values: bool = True) -> Distribution:
    """Every statistic that so many values allow; raw values in their given order if kept."""
    given = [float(value) for value in values]
    if not given:
        return Distribution()
    ordered = sorted(given)
    n = len(ordered)

    def percentile(name: str, percent: float) -> float | None:
        return nearest_rank(ordered, percent) if n >= values_needed(name) else None

    return Distribution(
        values=given if keep_values else [],
        n=n,
        min=ordered[0],
        mean=min(max(math.fsum(ordered) / n, ordered[0]), ordered[-1]),
        p50=percentile("p50", 50),
        p90=percentile("p90", 90),
        p95=percentile("p95", 95),
        p99=percentile("p99", 99),
        max=ordered[-1],
    )


def values_needed(stat: str) -> int:
    """How many values this statistic needs; raises KeyError for one that is not in `STATS`."""
    if stat not in STATS:
        raise KeyError(stat)
    return 0 if stat == "count" else VALUES_NEEDED.get(stat, 1)


def statistic(of: Distribution, stat: str) -> float | None:
    """One statistic by its name in `STATS`; None while there are too few values for it."""
    if of.n < values_needed(stat):
        return None
    value: float | None = of.n if stat == "count" else getattr(of, stat)
    return value


def too_few(measure: str, stat: str, n: int) -> str:
    """The sentence for a statistic that `n` values cannot give."""
    needed = values_needed(stat)
    have = "none" if n == 0 else str(n)
    values = "value" if needed == 1 else "values"
    return f"{stat} of {measure} needs at least {needed} {values} and there {_are(n)} {have}"


def values_of(measures: Measures, name: str) -> list[float]:
    """What one call gives to a measure of the run: its turns' values, or its one value, or nothing.

    Raises KeyError for a name that is not a field of `Measures`.
    """
    if name in PER_TURN_MEASURES:
        per_turn: Distribution = getattr(measures, name)
        return list(per_turn.values)
    if name not in PER_CALL_MEASURES:
        raise KeyError(name)
    value: float | None = getattr(measures, name)
    return [] if value is None else [float(value)]


def _are(n: int) -> str:
    return "is" if n == 1 else "are"
