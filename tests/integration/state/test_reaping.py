"""Calls of workers that fell silent come back, or end: nothing is left hanging."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from shared.state.admission import Reaped, reap
from shared.state.calls import announce_worker, claim, commit, renew
from shared.state.keys import CLOSING, IN_PROGRESS, JOB, LEASES, QUEUE, RUN
from shared.state.redis import ask
from shared.state.runs import cancel_run, read_run
from tests.integration.state.plans import admit, passed, plan, slots, start, void


async def reap_something(redis: Redis) -> Reaped:
    """Ask until a lease of a millisecond has run out."""
    async with asyncio.timeout(5):
        while True:
            reaped = await reap(redis)
            if reaped != Reaped(0, 0, 0, []):
                return reaped


async def test_an_admission_that_nobody_claims_comes_back_uncounted(redis: Redis) -> None:
    """The call goes out again with all its retries, and the late claimer is refused."""
    await slots(redis)
    await start(redis, "r", plan(1, retries=0))
    [key] = await admit(redis, claim_ms=1)
    await ask(redis, "SET", IN_PROGRESS.at(str(key)), "1", "EX", 100)  # arq had picked it up
    assert await reap_something(redis) == Reaped(1, 0, 0, [])
    assert await ask(redis, "EXISTS", JOB.at(str(key)), IN_PROGRESS.at(str(key))) == 0
    assert await ask(redis, "ZCARD", QUEUE.at()) == 0
    [again] = await admit(redis)
    assert again.index == key.index
    assert await claim(redis, key, "late") is None
    mine = await claim(redis, again, "w")
    assert mine is not None
    assert mine.earlier_attempts == []


async def test_a_lost_workers_call_is_tried_again_while_retries_last(redis: Redis) -> None:
    """A lease that ran out is one attempt; its old holder is fenced off."""
    await slots(redis)
    await start(redis, "r", plan(1, retries=1))
    [key] = await admit(redis)
    assert await claim(redis, key, "w", lease_ms=1)
    assert await reap_something(redis) == Reaped(0, 1, 0, [])
    assert not await commit(redis, key, passed())
    assert [answer.state for answer in await renew(redis, "w", [key])] == ["lost"]
    [again] = await admit(redis)
    mine = await claim(redis, again, "w2")
    assert mine is not None
    assert mine.earlier_attempts == ["worker_lost"]
    assert await commit(redis, again, passed())
    run = await read_run(redis, "r")
    assert run is not None
    assert (run.done, run.passed, run.retried, run.running) == (1, 1, 1, 0)


async def test_a_call_past_its_retries_is_the_reapers_to_end(redis: Redis) -> None:
    """It is fenced off under a new attempt, and a reaper that dies over it is reaped too."""
    await slots(redis)
    await start(redis, "r", plan(1, retries=0))
    [key] = await admit(redis)
    assert await claim(redis, key, "w", lease_ms=1)
    async with asyncio.timeout(5):
        while not (first := await reap(redis, lease_ms=1)).exhausted:
            pass
    async with asyncio.timeout(5):
        while not (second := await reap(redis)).exhausted:
            pass
    assert not await commit(redis, key, passed())
    assert not await commit(redis, first.exhausted[0].key, void())
    assert await commit(redis, second.exhausted[0].key, void())
    run = await read_run(redis, "r")
    assert run is not None
    assert (run.done, run.void, run.running, run.state) == (1, 1, 0, "finishing")
    assert run.failure_owners == {"fleet": 1}
    assert await ask(redis, "ZCARD", LEASES.at()) == 0


async def test_a_cancelled_runs_lost_calls_are_dropped(redis: Redis) -> None:
    """Nobody waits for a dead worker of a run that nobody wants."""
    await slots(redis)
    await start(redis, "r", plan(2))
    one, _unclaimed = await admit(redis, claim_ms=1)
    assert await claim(redis, one, "w", lease_ms=1)
    await cancel_run(redis, "r")
    dropped = 0
    while dropped < 2:
        dropped += (await reap_something(redis)).dropped
    assert await ask(redis, "ZCARD", CLOSING.at()) == 1
    assert await admit(redis) == []


async def test_a_dead_workers_calls_do_not_take_slots_for_ever(redis: Redis) -> None:
    """After reaping, as many calls go out as the living can hold."""
    await start(redis, "r", plan(10))
    await announce_worker(redis, "dead", 2)
    for key in await admit(redis):
        assert await claim(redis, key, "dead", lease_ms=1)
    back = 0
    while back < 2:
        back += (await reap_something(redis)).again
    await announce_worker(redis, "dead", 0)
    await announce_worker(redis, "alive", 3)
    assert [key.index for key in await admit(redis)] == [0, 1, 2]
    assert await ask(redis, "HGETALL", "phonebank:busy") == {b"*": b"0"}


async def test_a_call_of_a_run_that_redis_lost_leaves_nothing_of_it(redis: Redis) -> None:
    """Not half a run without a life, which its idempotency key could never start again."""
    await slots(redis)
    await start(redis, "r", plan(1))
    [key] = await admit(redis)
    assert await claim(redis, key, "w", lease_ms=1)
    await ask(redis, "DEL", RUN.at("r"))
    assert await reap_something(redis) == Reaped(0, 0, 1, [])
    assert await ask(redis, "EXISTS", RUN.at("r")) == 0
    assert await start(redis, "r", plan(1))


async def test_two_reapers_at_once_take_each_call_back_once(redis: Redis) -> None:
    """The same expired leases, asked of eight times at once, are counted once."""
    await slots(redis)
    await start(redis, "r", plan(50))
    for key in await admit(redis):
        assert await claim(redis, key, "w", lease_ms=1)
    again = 0
    async with asyncio.timeout(10):
        while again < 50:
            again += sum([r.again for r in await asyncio.gather(*(reap(redis) for _ in range(8)))])
    assert again == 50
    assert len(await admit(redis)) == 50
