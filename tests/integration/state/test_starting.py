"""A run is started once."""

from __future__ import annotations

from redis.asyncio import Redis

from shared.state.runs import list_runs, plan_text, read_run
from shared.state.submissions import run_id
from tests.integration.state.plans import plan, start


async def test_a_run_that_exists_is_left_as_it_is(redis: Redis) -> None:
    """The same run with another plan keeps the first plan."""
    assert await start(redis, "r", plan(3))
    assert not await start(redis, "r", plan(99))
    run = await read_run(redis, "r")
    assert run is not None
    assert (run.planned, run.waiting, run.state) == (3, 3, "running")
    assert run.record.name == "test"
    assert await plan_text(redis, "r") == b"{}"
    assert [status.run for status in await list_runs(redis)] == ["r"]


async def test_an_unknown_run_is_none(redis: Redis) -> None:
    """Redis may have forgotten a run; storage has not."""
    assert await read_run(redis, "nobody") is None
    assert await plan_text(redis, "nobody") is None


def test_a_key_names_the_run_whatever_the_submission() -> None:
    """The run's id comes from the idempotency key if there is one."""
    assert run_id("s1", "k") == run_id("s2", "k")
    assert run_id("s1", None) != run_id("s2", None)
    assert run_id("k", None) != run_id("s", "k")
