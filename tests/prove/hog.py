"""A CPU hog on the media core, for a part of two runs: which calls it hurt, and what is said.

    python -m tests.prove.hog [--hogs 12] [--nice -5] [--hog-s 6]

Both runs are the same but for `min_valid`. Owns the hog; the fleet and its calls are real.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from shared.call import Validity, Verdict, VoidReason
from shared.result import CallResult, RunResult
from shared.storage_keys import rows_key, run_key
from tests.faults.page import example_agents
from tests.faults.planted import BYE, SAY, WAIT, plan_for
from tests.faults.small_fleet import SmallFleet, small_fleet

CALLS, AT_ONCE = 9, 3
HOG = "import os, sys\nos.nice(int(sys.argv[2]))\nos.sched_setaffinity(0, {int(sys.argv[1])})\n"
HOG += "while True: pass\n"
STRICT, LENIENT = 90, 20


class Seen(msgspec.Struct, frozen=True):
    """One run and its calls."""

    result: RunResult
    rows: list[CallResult]

    def void(self) -> list[CallResult]:
        return [row for row in self.rows if row.validity is Validity.VOID]


@contextlib.contextmanager
def hogs(core: int, count: int, nice: int) -> Iterator[None]:
    """So many endless loops on one core."""
    running = [
        subprocess.Popen([sys.executable, "-c", HOG, str(core), str(nice)]) for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _plan(url: str, min_valid: int) -> dict[str, Any]:
    plan = plan_for(url, WAIT, SAY, WAIT, BYE, limits={"retries": 0})
    return plan | {
        "repeat": CALLS,
        "load": {"concurrency": AT_ONCE},
        "min_valid": min_valid,
        "name": f"min-valid-{min_valid}",
    }


async def hogged(folder: Path, *, count: int, nice: int, hog_s: float) -> dict[int, Seen]:
    """Both runs, by their `min_valid`."""
    core = max(os.sched_getaffinity(0))
    async with contextlib.AsyncExitStack() as stack:
        urls = await stack.enter_async_context(example_agents(("healthy",)))
        fleet = await stack.enter_async_context(small_fleet(folder, {"PHONEBANK_CORE": str(core)}))
        warm = await fleet.run("warm", plan_for(urls["healthy"]))  # makes the clips
        await fleet.row(warm)
        runs = {
            min_valid: await fleet.run(f"m{min_valid}", _plan(urls["healthy"], min_valid))
            for min_valid in (STRICT, LENIENT)
        }
        for run in runs.values():
            await fleet.running(run)
        with hogs(core, count, nice):
            await asyncio.sleep(hog_s)
        return {min_valid: await _seen(fleet, run) for min_valid, run in runs.items()}


async def _seen(fleet: SmallFleet, run: str) -> Seen:
    await fleet.row(run)
    decode = msgspec.json.Decoder(CallResult).decode
    rows = (await fleet.storage.get(rows_key(run))).splitlines()
    result = msgspec.json.decode(await fleet.storage.get(run_key(run)), type=RunResult)
    return Seen(result, [decode(row) for row in rows])


def table(seen: dict[int, Seen]) -> str:
    """What came of every call, and the verdicts."""
    lines = []
    for min_valid, one in seen.items():
        for row in one.rows:
            instrument, host = row.instrument, row.instrument.host
            lines.append(
                f"min_valid {min_valid} call {row.index}: {row.validity} {row.verdict}, "
                f"late p99 {instrument.send_lateness_p99_ms or 0:.1f} ms, "
                f"lag {instrument.loop_lag_max_ms or 0:.0f} ms, "
                f"waited {(host and host.waited_percent) or 0:.1f} %, "
                f"response {row.measures.response_latency_ms.values} "
                f"{[reason.partition(':')[0] for reason in row.void_reasons]}"
            )
        counts = one.result.counts
        lines.append(
            f"min_valid {min_valid}: verdict {one.result.verdict}, {counts.passed} passed, "
            f"{counts.failed} failed, {counts.void} void; {one.result.why[0]}"
        )
    return "\n".join(lines)


def holds(seen: dict[int, Seen]) -> bool:
    """Hurt calls are void for a reason of ours, the others keep their figures and count."""
    words = set(VoidReason)
    for one in seen.values():
        if not one.void() or len(one.void()) == len(one.rows):
            return False
        for row in one.rows:
            if row.validity is Validity.VOID:
                if not all(r.partition(":")[0] in words for r in row.void_reasons):
                    return False
            elif row.verdict is not Verdict.PASS or not row.measures.response_latency_ms.n:
                return False
    strict, lenient = seen[STRICT].result, seen[LENIENT].result
    return strict.verdict is Verdict.NONE and lenient.verdict is Verdict.PASS


def main() -> int:
    """0 where all of it holds."""
    parser = argparse.ArgumentParser(description="A CPU hog on the media core during two runs.")
    parser.add_argument("--hogs", type=int, default=12)
    parser.add_argument("--nice", type=int, default=-5)
    parser.add_argument("--hog-s", type=float, default=6.0)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pb-hog-"))
    seen = asyncio.run(hogged(folder, count=options.hogs, nice=options.nice, hog_s=options.hog_s))
    sys.stdout.write(table(seen) + f"\nholds: {holds(seen)}\n")
    return 0 if holds(seen) else 1


if __name__ == "__main__":
    sys.exit(main())
