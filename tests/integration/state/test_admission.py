"""Admission keeps every limit, shares fairly and costs memory by what is in flight."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from shared.state.call_key import CallKey
from shared.state.calls import announce_worker, claim, commit, withdraw_worker
from shared.state.keys import LANES, PACE, QUEUE, RUN
from shared.state.redis import ask
from shared.state.runs import RunStatus, read_run
from tests.integration.state.plans import (
    admit,
    admit_and_claim,
    agent,
    passed,
    plan,
    slots,
    start,
)


async def status(redis: Redis, run: str) -> RunStatus:
    found = await read_run(redis, run)
    assert found is not None
    return found


async def test_a_run_is_admitted_whole_and_each_index_once(redis: Redis) -> None:
    """Every index of a plan comes up exactly once, attempt 1, lane by lane in turn."""
    await slots(redis)
    await start(redis, "r", plan(4, agents=[agent("a"), agent("b", "http://127.0.0.1:2/x")]))
    keys = await admit(redis)
    assert [key.index for key in keys] == [0, 4, 1, 5, 2, 6, 3, 7]
    assert {key.attempt for key in keys} == {1}
    assert await admit(redis) == []


async def test_run_concurrency_is_never_exceeded(redis: Redis) -> None:
    """With a concurrency of 3, at most 3 calls of the run are out until it is done."""
    await slots(redis)
    await start(redis, "r", plan(10, concurrency=3))
    done = 0
    while done < 10:
        await admit_and_claim(redis)
        now = await status(redis, "r")
        assert now.running + now.admitted <= 3
        first = await ask(redis, "ZRANGE", QUEUE.at(), 0, 0)
        assert await commit(redis, CallKey.parse(first[0]), passed())
        done += 1
    assert (await status(redis, "r")).state == "finishing"


async def test_two_plans_that_name_an_endpoint_differently_share_its_cap(redis: Redis) -> None:
    """The cap keys on the normalised URL, not on the agent's name."""
    await slots(redis)
    mine = agent("mine", "http://LOCALHOST:80/api/offer", cap=3)
    yours = agent("yours", "http://localhost/api/offer/", cap=3)
    await start(redis, "a", plan(10, agents=[mine]))
    await start(redis, "b", plan(10, agents=[yours]))
    keys = await admit_and_claim(redis)
    assert len(keys) == 3
    assert {key.run for key in keys} == {"a", "b"}
    await commit(redis, keys[0], passed())
    assert len(await admit(redis)) == 1


async def test_weights_share_the_slots(redis: Redis) -> None:
    """A run of weight 3 gets three times the calls of a run of weight 1."""
    await slots(redis, 40)
    await start(redis, "light", plan(1000), weight=1)
    await start(redis, "heavy", plan(1000), weight=3)
    keys = await admit(redis)
    heavy = sum(key.run == "heavy" for key in keys)
    assert len(keys) == 40
    assert abs(heavy - 30) <= 1


async def test_a_run_that_comes_late_gets_its_share_and_no_more(redis: Redis) -> None:
    """A newcomer starts at the pass of the others: it neither starves them nor waits."""
    await start(redis, "old", plan(10_000, concurrency=1000))
    await slots(redis, 100)
    await admit(redis)
    await start(redis, "new", plan(10_000, concurrency=1000))
    await slots(redis, 140)
    keys = await admit(redis)
    assert abs(sum(key.run == "new" for key in keys) - 20) <= 1


async def test_no_more_jobs_than_slots_of_live_workers(redis: Redis) -> None:
    """Free slots are the sum over live workers less what is out; a withdrawn worker has none."""
    await start(redis, "r", plan(100))
    assert await admit(redis) == []
    await announce_worker(redis, "one", 3)
    await announce_worker(redis, "two", 4)
    assert len(await admit(redis)) == 7
    await withdraw_worker(redis, "two")
    await announce_worker(redis, "one", 9)
    assert len(await admit(redis)) == 2


async def test_a_draining_workers_calls_take_no_slots_from_the_others(redis: Redis) -> None:
    """Calls that run on a withdrawn worker are not counted against what the others offer."""
    await start(redis, "r", plan(100))
    await announce_worker(redis, "old", 3)
    for key in await admit(redis):
        assert await claim(redis, key, "old")
    await withdraw_worker(redis, "old")
    await announce_worker(redis, "new", 2)
    assert len(await admit(redis)) == 2


async def test_a_worker_that_fell_silent_offers_no_slots(redis: Redis) -> None:
    """An announcement ends by itself."""
    await start(redis, "r", plan(100))
    await announce_worker(redis, "gone", 50, life_ms=1)
    async with asyncio.timeout(5):
        while await ask(redis, "HLEN", "phonebank:slots"):  # the next announcement forgets the dead
            await announce_worker(redis, "other", 2)
            if await ask(redis, "HLEN", "phonebank:slots") == 1:
                break
    assert len(await admit(redis)) == 2


async def test_starts_per_second_of_an_endpoint_are_paced(redis: Redis) -> None:
    """At 20 calls a second, the second start waits 50 ms; over 0.5 s some 10 start."""
    await slots(redis)
    await start(redis, "r", plan(1000, agents=[agent(cps=20)]))
    begun_s = await _redis_time_s(redis)
    count = 0
    while await _redis_time_s(redis) - begun_s < 0.5:
        count += len(await admit(redis))
    assert 9 <= count <= 13


async def test_a_slow_pace_is_remembered_until_the_next_start(redis: Redis) -> None:
    """The slowest that a plan may ask for is longer than most keys of this kind would live."""
    await slots(redis)
    await start(redis, "r", plan(10, agents=[agent(cps=0.0001)]))
    assert len(await admit(redis)) == 1
    assert await admit(redis) == []
    [pace] = [name async for name in redis.scan_iter(PACE.at("*"))]
    assert await ask(redis, "TTL", pace) > 10_000


async def _redis_time_s(redis: Redis) -> float:
    seconds, micros = await ask(redis, "TIME")
    return int(seconds) + int(micros) / 1e6


async def test_two_schedulers_at_once_admit_nothing_twice(redis: Redis) -> None:
    """Eight loops at the same time hand out each index once and no more than the slots."""
    await slots(redis, 150)
    await start(redis, "a", plan(100))
    await start(redis, "b", plan(100))
    batches = await asyncio.gather(*(admit(redis, 7) for _ in range(8 * 6)))
    keys = [str(key) for batch in batches for key in batch]
    assert len(keys) == len(set(keys)) == 150


async def test_a_plan_of_ten_million_calls_takes_the_memory_of_a_plan_of_ten(redis: Redis) -> None:
    """Until calls are in flight, a run costs the same keys and bytes whatever it plans."""
    sizes = []
    for run, calls in (("small", 10), ("large", 10_000_000)):
        await start(redis, run, plan(calls))
        names = [name async for name in redis.scan_iter(f"*:{run}*")]
        size = sum([await ask(redis, "MEMORY", "USAGE", name) for name in names])
        sizes.append((len(names), size))
    assert sizes[0][0] == sizes[1][0]
    assert sizes[1][1] - sizes[0][1] <= 64
    await slots(redis, 50)
    await admit(redis)
    await admit(redis)
    assert (await status(redis, "large")).waiting > 9_999_900


async def test_a_cursor_beyond_32_bits_names_its_index_exactly(redis: Redis) -> None:
    """Indexes are exact far beyond what a plan can reasonably hold."""
    await slots(redis)
    lanes = [agent(f"a{i}", f"http://127.0.0.1:{i + 1}/x") for i in range(3)]
    await start(redis, "r", plan(100_000_000, agents=lanes))
    for lane in range(3):
        await ask(redis, "HSET", LANES.at("r"), f"{lane}:cursor", 99_999_999)
    keys = await admit(redis)
    assert [key.index for key in keys] == [99_999_999, 199_999_999, 299_999_999]


async def test_blocked_runs_do_not_starve_one_that_may_go(redis: Redis) -> None:
    """A run behind 300 blocked ones, all looked at again all the time, gets its calls."""
    await slots(redis)
    await start(redis, "first", plan(1, agents=[agent(cap=1)]))
    await admit(redis)
    for number in range(300):
        await start(redis, f"blocked{number}", plan(5, agents=[agent(cap=1)]))
    await start(redis, "free", plan(50, agents=[agent("x", "http://127.0.0.1:1/x")]))
    got = [key for _ in range(30) for key in await admit(redis, 5)]
    assert [key.run for key in got] == ["free"] * 50


async def test_a_run_whose_hash_is_gone_is_forgotten(redis: Redis) -> None:
    """Nothing hangs on a run that Redis lost."""
    await slots(redis)
    await start(redis, "r", plan(5))
    await ask(redis, "DEL", RUN.at("r"))
    assert await admit(redis) == []
    assert await admit(redis) == []


async def test_an_unclaimed_call_of_a_worker_elsewhere_is_not_given_twice(redis: Redis) -> None:
    """An admitted call belongs to the first worker that claims it."""
    await slots(redis)
    await start(redis, "r", plan(1))
    [key] = await admit(redis)
    answers = await asyncio.gather(*(claim(redis, key, f"w{n}") for n in range(5)))
    assert sum(answer is not None for answer in answers) == 1
