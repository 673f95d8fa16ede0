"""Rows as people read them: two tables of at most 100 columns, and ratios. Owns the layout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from worker.bench.row import Profile, Row

WIDTH = 100


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """CPU per call-second of one profile beside the naive one, at the same number of callers."""

    profile: Profile
    callers: int
    to_naive: float


def ratios(rows: Iterable[Row]) -> list[Ratio]:
    """One for each row that has a naive one beside it."""
    kept = list(rows)
    naive = {row.callers: row for row in kept if row.profile is Profile.NAIVE}
    return [
        Ratio(
            profile=row.profile,
            callers=row.callers,
            to_naive=row.cpu_ms_per_call_s / naive[row.callers].cpu_ms_per_call_s,
        )
        for row in kept
        if row.profile is not Profile.NAIVE and row.callers in naive
    ]


def report(rows: Sequence[Row], machine: dict[str, str | int]) -> str:
    """Everything, with a line about the machine first and what to doubt last."""
    lines = [_machine(machine), ""]
    lines += _table(_COST, [_cost(row) for row in rows])
    lines += ["", *_table(_SURROUNDINGS, [_surroundings(row) for row in rows])]
    lines += ["", *(_ratio(each) for each in ratios(rows))]
    lines += [_doubt(row, "invalid", row.invalid) for row in rows if row.invalid]
    lines += [_doubt(row, "noisy", row.noisy) for row in rows if row.noisy]
    return "\n".join(line[:WIDTH] for line in lines) + "\n"


_COST = (
    "profile", "calls", "CPU ms/call-s", "core %", "late p50", "p99", "p99.9", "max ms",
    "lag p99", "sent/s", "recv/s",
)  # fmt: skip
_SURROUNDINGS = (
    "profile", "calls", "user+sys", "RSS MB", "MB/call", "threads", "set-up ms",
    "foreign %", "steal %", "calib ms", "drift %", "tries",
)  # fmt: skip


def _cost(row: Row) -> list[str]:
    return [
        row.profile.value,
        str(row.callers),
        f"{row.cpu_ms_per_call_s:.2f}",
        f"{row.core_percent:.0f}",
        f"{row.lateness_p50_ms:.1f}",
        f"{row.lateness_p99_ms:.1f}",
        f"{row.lateness_p999_ms:.1f}",
        f"{row.lateness_max_ms:.1f}",
        f"{row.loop_lag_p99_ms:.1f}",
        f"{row.packets_per_s:.2f}",
        f"{row.packets_received_per_s:.2f}",
    ]


def _surroundings(row: Row) -> list[str]:
    return [
        row.profile.value,
        str(row.callers),
        f"{row.user_ms_per_call_s:.1f}+{row.system_ms_per_call_s:.1f}",
        f"{row.rss_mb:.0f}",
        f"{row.rss_per_call_mb:.2f}",
        str(row.threads),
        f"{row.set_up_cpu_ms:.1f}",
        f"{row.foreign_percent:.1f}",
        f"{row.steal_percent:.1f}",
        f"{row.calibration_ms:.0f}",
        f"{row.calibration_drift_percent:.0f}",
        str(row.tries),
    ]


def _table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """The first column to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    return [
        " ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in (heads, *cells)
    ]


def _machine(machine: dict[str, str | int]) -> str:
    said = ("cpu", "cores", "system", "python", "aiortc")
    return ", ".join(f"{name} {machine[name]}" for name in said)


def _ratio(ratio: Ratio) -> str:
    return f"{ratio.profile.value} / naive at {ratio.callers} callers: {ratio.to_naive:.2f}"


def _doubt(row: Row, what: str, reasons: Sequence[str]) -> str:
    return f"{what}: {row.profile.value} at {row.callers} callers: {', '.join(reasons)}"
