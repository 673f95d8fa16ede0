"""An agent that attacks its caller harms nobody but itself: calls end, the worker stays whole."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

import pytest

from shared.call import REASONS
from shared.result import CallResult
from tests.faults.planted import BYE, SAY, plan_for
from tests.faults.small_fleet import SmallFleet, small_fleet
from tests.faults.strangers import strangers
from tests.integration.hostile.bots import ATTACKS, hostile_agents

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

MOST_MB = 350
STRANGE = (
    "garbage-body", "garbage-sdp", "huge-body", "redirects", "slow-drip", "some-candidates",
    "countless-candidates",
)  # fmt: skip


def peak_mb(pid: int) -> float:
    """Most memory the process ever held at once."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


async def _called(fleet: SmallFleet, name: str, url: str) -> CallResult:
    """Six seconds of talk, if the agent lets it come to that."""
    silence = {"silence": 2}
    persona = {"speaks_first": "caller", "idle_after_s": 4}
    plan = plan_for(url, SAY, silence, SAY, BYE, persona=persona, limits={"retries": 0})
    return await fleet.row(await fleet.run(name, plan))


@pytest.mark.parametrize("attack", [*ATTACKS, *STRANGE])
async def test_each_attack_ends_with_a_reason(
    attack: str, fleet_under_attack: dict[str, CallResult]
) -> None:
    """Of the vocabulary, and it is never our defect."""
    row = fleet_under_attack[attack]
    assert row.ended_reason in REASONS
    assert row.ended_reason.value != "internal_error", row.detail
    assert row.detail


async def test_the_worker_stays_whole(
    fleet_under_attack: dict[str, CallResult], record_property: object
) -> None:
    """One process held all attacks at once: no traceback, memory within its bound."""
    figures = fleet_under_attack["figures"].join_keys
    assert figures["tracebacks"] == "0", figures["log"]
    assert float(figures["peak_mb"]) < MOST_MB, figures


@pytest.fixture(scope="module")
def fleet_under_attack(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CallResult]:
    """All attacks at once on one worker; rows by attack, and the worker's figures as a row."""
    return asyncio.run(attacked(tmp_path_factory.mktemp("hostile")))


async def attacked(folder: Path, *only: str) -> dict[str, CallResult]:
    async with hostile_agents() as agents, strangers(folder) as strange:
        urls = {attack: agents.url(attack) for attack in ATTACKS}
        urls |= {name: strange.url(name) for name in STRANGE}
        urls = {name: url for name, url in urls.items() if not only or name in only}
        async with small_fleet(folder / "fleet") as fleet, asyncio.TaskGroup() as group:
            before_mb = peak_mb(fleet.worker.pid)
            calls = {
                name: group.create_task(_called(fleet, name, url)) for name, url in urls.items()
            }
            await asyncio.wait(calls.values())
            after_mb = peak_mb(fleet.worker.pid)
        rows = {name: call.result() for name, call in calls.items()}
    log = fleet.log.read_text(errors="replace")
    told = {
        "before_mb": f"{before_mb:.0f}",
        "peak_mb": f"{after_mb:.0f}",
        "tracebacks": str(len(re.findall(r"Traceback|exc_info|\"exception\"", log))),
        "sent": str(agents.sent),
        "log": str(fleet.log),
    }
    first = next(iter(rows.values()))
    rows["figures"] = CallResult(
        **{name: getattr(first, name) for name in first.__struct_fields__ if name != "join_keys"},
        join_keys=told,
    )
    return rows


def main() -> None:
    """Run all attacks, or those that are named, and say what came of each."""
    folder = Path(tempfile.mkdtemp(prefix="pb-hostile-"))
    for name, row in asyncio.run(attacked(folder, *sys.argv[1:])).items():
        told = row.join_keys if name == "figures" else row.detail
        sys.stdout.write(
            f"{name}: {row.ended_reason} {row.validity} {row.verdict}, "
            f"{row.instrument.packets_received} packets, {row.void_reasons} {told}\n"
        )


if __name__ == "__main__":
    main()
