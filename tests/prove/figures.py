"""A figure beside its target. Owns the arithmetic of errors and the table; measures nothing."""

from __future__ import annotations

import math
from typing import Any

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number that a promise is made about."""

    part: str
    name: str
    value: float | None
    unit: str
    target: str
    met: bool
    n: int
    """How many measurements stand behind it."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What one part of `make prove` found."""

    figures: list[Figure]
    repeated: int = 0
    """Windows (calls, rounds) that the instrument's own validity voided, each held once more."""
    notes: list[str] = []
    """Sentences for people."""
    details: dict[str, Any] = {}
    """Tables of its own for `--json`, such as `rows` of the bench."""


def error_figures(
    part: str, name: str, errors_ms: list[float], *, median_ms: float | None, p95_ms: float
) -> list[Figure]:
    """Median and 95th percentile of absolute errors; an infinite error is a missing measurement."""
    ordered = sorted(abs(error) for error in errors_ms)
    rows = [(95, p95_ms)] if median_ms is None else [(50, median_ms), (95, p95_ms)]
    return [_at_most(part, f"{name}, error", ordered, percent, limit) for percent, limit in rows]


def _at_most(part: str, name: str, ordered: list[float], percent: int, limit_ms: float) -> Figure:
    label = "median" if percent == 50 else f"p{percent}"
    value = nearest_rank(ordered, percent) if ordered else math.inf
    return Figure(
        part=part,
        name=f"{name} {label}",
        value=round(value, 1) if math.isfinite(value) else None,
        unit="ms",
        target=f"<= {limit_ms:g}",
        met=value <= limit_ms,
        n=len(ordered),
    )


def nearest_rank(ordered: list[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def table(proof: Proof) -> str:
    """For people: one line per figure, then what else is to be said."""
    width = max((len(figure.name) for figure in proof.figures), default=10)
    lines = [f"  {'figure':<{width}} {'n':>5} {'value':>10}  {'target':<16}"]
    for figure in proof.figures:
        value = "missing" if figure.value is None else f"{figure.value:g} {figure.unit}"
        verdict = "ok" if figure.met else "MISSED"
        lines.append(
            f"  {figure.name:<{width}} {figure.n:>5} {value:>10}  {figure.target:<16} {verdict}"
        )
    lines.append(f"  voided by our own validity and held again: {proof.repeated}")
    lines += [f"  {note}" for note in proof.notes]
    return "\n".join(lines)
