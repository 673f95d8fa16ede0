"""What the command asks of a fleet that is there, and what it leaves when nobody answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from phonebank import reach as reaching
from phonebank.plan_file import ReadyPlan
from phonebank.reach import Reach, Watcher, follow, hand_over, reach
from shared.call import RunState
from shared.errors import FleetError
from shared.plan_text import read_plan
from shared.state.keys import SUBMISSIONS
from shared.state.redis import ask
from shared.state.submissions import open_stream, take
from shared.storage_keys import run_key
from tests.integration.state.conftest import valkey
from tests.integration.state.plans import surface_text
from tests.unit.phonebank.calls import a_run

READY = ReadyPlan(plan=read_plan(surface_text()), text=surface_text(), assets={}, secrets=set())
NOBODY = Watcher(lambda _status: None, lambda _summary: None)


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Reach]:
    """A Redis and a storage without any scheduler."""
    storage = (tmp_path / "storage").as_uri()
    with valkey(tmp_path) as (url, _):
        async with reach(url, storage) as open_reach:
            yield open_reach


async def test_a_plan_that_nobody_answers_does_not_run_later(
    there: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command said that it failed: calls that begin an hour after would be nobody's."""
    monkeypatch.setattr(reaching, "ANSWER_DEADLINE_S", 0.0)
    with pytest.raises(FleetError, match="no scheduler is running"):
        await hand_over(there, READY)
    await open_stream(there.redis)
    assert not await take(there.redis, "later", limit=1, block_ms=0, abandoned_ms=0)
    assert await ask(there.redis, "XLEN", SUBMISSIONS.at()) == 0


async def test_a_run_that_only_storage_remembers_has_ended(there: Reach) -> None:
    """Its idempotency key was given again after Redis forgot it: the results are there."""
    ended = msgspec.json.encode(a_run())
    await there.storage.put(run_key("run-1"), ended)
    await follow(there, "run-1", NOBODY)


async def test_a_run_that_redis_lost_on_the_way_is_an_error(there: Reach) -> None:
    """Nobody waits for what nobody knows."""
    begun = msgspec.structs.replace(a_run(), state=RunState.RUNNING)
    await there.storage.put(run_key("run-1"), msgspec.json.encode(begun))
    with pytest.raises(FleetError, match="no longer knows"):
        await follow(there, "run-1", NOBODY)
