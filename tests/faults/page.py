"""`docs/faults.md`: every fault, planted in a real call, and what it came to.

    python -m tests.faults.page          runs them all (about two minutes) and writes the page

The test runs the same and compares.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from shared.call import REASONS, Owner, Validity
from shared.result import CallResult
from tests.conftest import eventually
from tests.faults.planted import (
    BYE,
    SAY,
    WAIT,
    Planted,
    meet,
    of_agents,
    of_disks,
    of_plans,
    of_strangers,
    plan_for,
)
from tests.faults.small_fleet import SmallFleet, small_fleet
from tests.faults.strangers import strangers

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"
FAULTS = (
    "healthy", "never-speaks", "deaf", "hangs-up-early", "freezes", "refuses-offer",
    "answers-without-audio", "slow-reply", "ignores-barge-in", "clipped-audio", "lost-packets",
)  # fmt: skip
SECRETS = {
    "PHONEBANK_SECRET_BOUND": "value-of-bound",
    "PHONEBANK_SECRET_BOUND_HOSTS": "elsewhere.example",
    "PHONEBANK_SECRET_BROKEN": "two\nlines",
}
HEAD = """\
# What planted faults come to

Made by `python -m tests.faults.page`, which plants every fault in a real call of a real fleet; a
test runs the same and compares. *Whose* says where the fault was planted, *owner* whom phonebank
holds responsible. Failures of owner `fleet` and `config` are void: they never count against the
agent. Reasons are explained in [reasons.md](reasons.md).

| fault | whose | step | reason | owner | validity | verdict |
|---|---|---|---|---|---|---|
"""


class Met(msgspec.Struct, frozen=True):
    """A fault and the call that met it."""

    name: str
    whose: str
    row: CallResult

    def line(self) -> str:
        """Its line in the table."""
        row = self.row
        earlier = sorted({word for word in row.earlier_attempts if _is_ours(word)})
        again = f", tried again after `{'`, `'.join(earlier)}`" if earlier else ""
        void = row.void_reasons[0].partition(":")[0] if row.void_reasons else ""
        shown = row.validity.value
        if row.validity is Validity.VOID and void != row.ended_reason.value:
            shown += f": `{void}`"
        return (
            f"| {self.name} | {self.whose} | {row.failed_step or '–'} "
            f"| `{row.ended_reason}`{again} | {row.failure_owner or '–'} "
            f"| {shown} | {row.verdict} |\n"
        )


def page(met: list[Met]) -> str:
    """The whole page."""
    order = ("agent", "network", "plan", "fleet", "nobody")
    return HEAD + "".join(
        one.line() for one in sorted(met, key=lambda one: (order.index(one.whose), one.name))
    )


def _is_ours(word: str) -> bool:
    return any(str(r) == word and f.owner is Owner.FLEET for r, f in REASONS.items())


async def meet_all(folder: Path) -> list[Met]:
    """Plant every fault; fleets that are broken on purpose are fleets of their own."""
    clips = folder / "clips"
    clips.mkdir()
    async with contextlib.AsyncExitStack() as stack:
        urls = await stack.enter_async_context(example_agents(FAULTS))
        strange = await stack.enter_async_context(strangers(folder))
        url = urls["healthy"]
        each = [
            *of_agents(urls), *of_strangers(strange), *of_plans(url), *of_disks(url),
        ]  # fmt: skip
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_together(folder / "a", clips, each)),
                group.create_task(_one_after_another(folder / "b", clips, url)),
                group.create_task(_deadly_studio(folder / "c", clips, url)),
                group.create_task(_lost_workers(folder / "d", clips, url)),
                group.create_task(_redis_away(folder / "e", clips, url)),
            ]
    return [met for task in tasks for met in task.result()]


async def _together(folder: Path, clips: Path, each: list[Planted]) -> list[Met]:
    async with small_fleet(folder, SECRETS, clips=clips) as fleet, asyncio.TaskGroup() as group:
        calls = [(one, group.create_task(meet(fleet, one))) for one in each]
        await asyncio.wait([task for _, task in calls])
    return [Met(one.name, one.whose, task.result()) for one, task in calls]


async def _one_after_another(folder: Path, clips: Path, url: str) -> list[Met]:
    """What one worker lives through."""

    async def kill_studio(fleet: SmallFleet, _: str) -> None:
        assert fleet.kill_studio()

    async def redis_away_shortly(fleet: SmallFleet, _: str) -> None:
        await asyncio.to_thread(_kill, fleet)
        await asyncio.to_thread(fleet.start_valkey)

    async def stand_still(fleet: SmallFleet, _: str) -> None:
        fleet.worker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.7)
        fleet.worker.send_signal(signal.SIGCONT)

    async def damage_clips(fleet: SmallFleet, _: str) -> None:
        for path in (fleet.data / "clips").glob("*/*.clip"):
            path.write_bytes(path.read_bytes()[:-9] + b"nonsense.")

    talk = plan_for(url, WAIT, SAY, BYE)
    still = plan_for(url, WAIT, SAY, BYE, limits={"retries": 0})
    cases = [
        Planted(name="the studio is killed in mid-call", whose="fleet", plan=talk,
                meanwhile=kill_studio),
        Planted(name="Redis is restarted in mid-call", whose="fleet", plan=talk,
                meanwhile=redis_away_shortly),
        Planted(name="the worker stands still for 0.7 s", whose="fleet", plan=still,
                meanwhile=stand_still),
    ]  # fmt: skip
    async with small_fleet(folder, lease_s=20.0) as fleet:
        found = [Met(case.name, case.whose, await meet(fleet, case)) for case in cases]
        fleet.worker.terminate()
        await asyncio.to_thread(fleet.worker.wait)
        damaged = Planted(
            name="cached clips are damaged", whose="fleet", plan=talk, before=damage_clips
        )
        fleet.start_worker()  # with nothing in memory
        found.append(Met(damaged.name, damaged.whose, await meet(fleet, damaged)))
    return found


async def _deadly_studio(folder: Path, clips: Path, url: str) -> list[Met]:
    """Killed for as long as the call's recording is wanted from it."""
    plan = plan_for(url, WAIT, SAY, BYE, limits={"retries": 0})
    async with small_fleet(folder, clips=clips) as fleet:
        over = asyncio.Event()

        async def kill_again_and_again(fleet: SmallFleet, run: str) -> None:
            async with asyncio.timeout(60):
                while not over.is_set():
                    fleet.kill_studio()
                    await asyncio.sleep(0.02)

        case = Planted(name="the studio dies over every job", whose="fleet", plan=plan)
        run = await fleet.run("deadly", case.plan)
        await fleet.running(run)
        async with asyncio.TaskGroup() as group:
            group.create_task(kill_again_and_again(fleet, run))
            try:
                row = await fleet.row(run)
            finally:
                over.set()
    return [Met(case.name, case.whose, row)]


async def _lost_workers(folder: Path, clips: Path, url: str) -> list[Met]:
    """SIGKILL, with and without a retry left, and SIGTERM, in mid-call."""
    found = []
    async with small_fleet(folder, lease_s=3.0, clips=clips) as fleet:
        for name, number, retries in (
            ("the worker is killed, no retry left", signal.SIGKILL, 0),
            ("the worker is killed", signal.SIGKILL, 3),
            ("the worker is told to stop", signal.SIGTERM, 3),
        ):
            plan = plan_for(url, WAIT, SAY, BYE, limits={"retries": retries})
            run = await fleet.run(name.replace(" ", "-"), plan)
            await fleet.running(run)
            fleet.worker.send_signal(number)
            await asyncio.to_thread(fleet.worker.wait)
            fleet.start_worker()
            found.append(Met(name, "fleet", await fleet.row(run)))
    return found


async def _redis_away(folder: Path, clips: Path, url: str) -> list[Met]:
    """Longer than a lease: the worker hangs up, and the call is held anew when Redis is back."""
    async with small_fleet(folder, lease_s=3.0, clips=clips) as fleet:
        long = plan_for(url, WAIT, SAY, WAIT, {"silence": 4}, BYE)
        run = await fleet.run("redis-away", long)
        await fleet.running(run)
        await asyncio.to_thread(_kill, fleet)
        spool = fleet.spool_of(run) / "packets.spool"
        await eventually(lambda: not spool.exists() or _aged(spool, 2.0), "the hang-up", 30)
        await asyncio.to_thread(fleet.start_valkey)
        return [Met("Redis is away for longer than a lease", "fleet", await fleet.row(run))]


def _aged(path: Path, seconds: float) -> bool:
    """Nothing was written for so long."""
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime > seconds
    return True


def _kill(fleet: SmallFleet) -> None:
    fleet.valkey.kill()
    fleet.valkey.wait()


@contextlib.asynccontextmanager
async def example_agents(faults: tuple[str, ...]) -> AsyncIterator[dict[str, str]]:
    """One process of the example agent for each fault; `healthy` has none."""
    processes = []
    for fault in faults:
        words = [] if fault == "healthy" else ["--fault", fault]
        processes.append(
            await asyncio.create_subprocess_exec(
                sys.executable,
                *(str(ROOT / "examples" / "agent" / "main.py"), "--port", "0", *words),
                stdout=asyncio.subprocess.PIPE,
                env=os.environ,
            )
        )
    try:
        urls = {}
        for fault, process in zip(faults, processes, strict=True):
            assert process.stdout is not None
            line = (await process.stdout.readline()).decode()
            urls[fault] = line.removeprefix("listening on ").strip()
        yield urls
    finally:
        for process in processes:
            process.kill()
            await process.wait()


async def main() -> None:
    """Write the page."""
    folder = Path(tempfile.mkdtemp(prefix="pb-faults-"))
    sys.stderr.write(f"logs under {folder}\n")
    PAGE.write_text(page(await meet_all(folder)))


if __name__ == "__main__":
    asyncio.run(main())
