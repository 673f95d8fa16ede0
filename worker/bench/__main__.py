"""The command `phonebank bench`, as `python -m worker.bench`. Owns its options and their bounds."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from shared.errors import FleetError
from worker.bench.capacity import Plan, measure
from worker.bench.host import machine
from worker.bench.report import ratios, report
from worker.bench.row import Profile, Row

MAX_CALLERS = 1000
MAX_COUNTS = 12
MAX_SECONDS = 120.0
MAX_REPEAT = 10
DESCRIPTION = """\
What a caller costs on this machine: CPU, punctuality, memory. A cheap agent on one core, the
measured process on another, both on 127.0.0.1. `naive` is aiortc as its documentation shows it,
`packet` a call of phonebank with live detection and spool file, `packet-no-listen` the same
without decoding what the agent says."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit code 0, 2 for wrong options, 4 where it could not be measured."""
    options = _parser().parse_args(arguments)
    plan = Plan(
        profiles=_profiles(options.profile, no_listen=options.no_listen),
        callers=options.callers,
        seconds=options.seconds,
        warmup_s=options.warmup,
        repeat=options.repeat,
        again=options.again,
        core=options.core,
        agent_core=options.agent_core,
    )
    try:
        rows = asyncio.run(measure(plan, _said))
    except FleetError as error:
        sys.stderr.write(f"phonebank bench: {error}\n")
        return 4
    except KeyboardInterrupt:
        return 130
    about = machine()
    sys.stdout.write(report(rows, about))
    if options.json is not None:
        found = {"machine": about, "rows": rows, "ratios": ratios(rows)}
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    return 0


def _said(row: Row) -> None:
    doubts = ", ".join([*row.invalid, *row.noisy])
    sys.stderr.write(
        f"{row.profile.value} at {row.callers}: {row.cpu_ms_per_call_s:.2f} ms/call-s, "
        f"p99 {row.lateness_p99_ms:.1f} ms{f' ({doubts})' if doubts else ''}\n"
    )


def _profiles(names: Sequence[Profile], *, no_listen: bool) -> list[Profile]:
    if not no_listen:
        return list(names)
    deaf = {Profile.PACKET: Profile.PACKET_NO_LISTEN}
    return list(dict.fromkeys(deaf.get(name, name) for name in names))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="phonebank bench", description="Measure this machine.")
    benches = parser.add_subparsers(required=True, metavar="BENCH")
    capacity = benches.add_parser("capacity", help="callers per core", description=DESCRIPTION)
    first, last = _cores()
    add = capacity.add_argument
    add(
        "--profile",
        type=_profile_list,
        default=[Profile.NAIVE, Profile.PACKET],
        metavar="LIST",
        help="of naive, packet and packet-no-listen (default: naive,packet)",
    )
    add("--no-listen", action="store_true", help="take packet for packet-no-listen")
    add(
        "--callers",
        type=_count_list,
        default=[1, 20, 50, 100],
        metavar="LIST",
        help="calls at the same time (default: 1,20,50,100)",
    )
    add("--seconds", type=_bounded(1, MAX_SECONDS), default=10.0, help="window (default: 10)")
    add(
        "--warmup",
        type=_bounded(0, MAX_SECONDS),
        default=3.0,
        metavar="SECONDS",
        help="from the last call connected to the window (default: 3)",
    )
    add(
        "--repeat",
        type=lambda text: int(_bounded(1, MAX_REPEAT)(text)),
        default=1,
        metavar="N",
        help="quiet windows per row, of which the median is told (default: 1)",
    )
    add(
        "--again",
        type=lambda text: int(_bounded(0, MAX_REPEAT)(text)),
        default=2,
        metavar="N",
        help="more windows per row where some were noisy (default: 2)",
    )
    add("--core", type=int, default=last, help=f"of the measured process (default: {last})")
    add("--agent-core", type=int, default=first, help=f"of the agent (default: {first})")
    add("--json", type=Path, metavar="FILE", help="write {machine, rows, ratios}")
    return parser  # fmt: skip


def _cores() -> tuple[int, int]:
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
    return min(allowed), max(allowed)


def _profile_list(text: str) -> list[Profile]:
    try:
        return list(dict.fromkeys(Profile(name.strip()) for name in text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count_list(text: str) -> list[int]:
    counts = [int(_bounded(1, MAX_CALLERS)(part)) for part in text.split(",")]
    if len(counts) > MAX_COUNTS:
        raise argparse.ArgumentTypeError(f"at most {MAX_COUNTS} numbers")
    return counts


class _bounded:  # noqa: N801 - reads as the function that it stands for
    def __init__(self, low: float, high: float) -> None:
        self._low, self._high = low, high

    def __call__(self, text: str) -> float:
        value = float(text)
        if not self._low <= value <= self._high:
            raise argparse.ArgumentTypeError(f"{text} is not within {self._low:g}..{self._high:g}")
        return value


if __name__ == "__main__":
    sys.exit(main())
