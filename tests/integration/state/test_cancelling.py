"""Cancelling a run acts at once and leaves nothing hanging."""

from __future__ import annotations

import time

from redis.asyncio import Redis

from shared.state.calls import claim, commit
from shared.state.keys import CLOSING, LEASES, QUEUE
from shared.state.redis import ask
from shared.state.runs import cancel_run, read_run
from tests.integration.state.plans import admit, passed, plan, slots, start


async def test_nothing_is_admitted_after_a_cancel(redis: Redis) -> None:
    """The flip costs nothing however many calls are left; an idle run goes straight to closing."""
    await start(redis, "r", plan(10_000_000))
    begun_s = time.perf_counter()
    assert await cancel_run(redis, "r")
    assert time.perf_counter() - begun_s < 1.0
    assert not await cancel_run(redis, "r")
    await slots(redis)
    assert await admit(redis) == []
    assert await ask(redis, "ZCARD", CLOSING.at()) == 1


async def test_the_last_running_call_of_a_cancelled_run_hands_it_to_closing(redis: Redis) -> None:
    """Running calls still commit; the run waits for them in `finishing`."""
    await slots(redis, 2)
    await start(redis, "r", plan(10))
    one, two = await admit(redis)
    assert await claim(redis, one, "w")
    await cancel_run(redis, "r")
    run = await read_run(redis, "r")
    assert run is not None
    assert (run.state, run.cancelled) == ("finishing", True)
    assert await claim(redis, two, "w") is None, "an admitted call is dropped when it is claimed"
    assert await ask(redis, "ZCARD", CLOSING.at()) == 0
    assert await commit(redis, one, passed())
    assert await ask(redis, "ZCARD", CLOSING.at()) == 1
    assert await ask(redis, "ZCARD", LEASES.at()) == 0
    assert await ask(redis, "ZCARD", QUEUE.at()) == 0
