"""What we rely on in arq 0.28, and what our worker adds: outages and the gate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
from redis.asyncio import Redis

from shared.errors import StateError
from shared.state.call_key import CallKey
from shared.state.calls import announce_worker, claim, commit
from shared.state.keys import ARQ_RETRY, IN_PROGRESS, JOB, QUEUE
from shared.state.queue import SwitchboardWorker, read_job, write_job
from shared.state.redis import ask, connect
from tests.conftest import eventually
from tests.integration.state.conftest import valkey
from tests.integration.state.plans import admit, passed, plan, slots, start


class Desk:
    """A job body that holds calls until it is told to let go."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.begun: list[CallKey] = []
        self.refused: list[CallKey] = []
        self.go = asyncio.Event()

    async def take(self, key: CallKey, admitted_ms: int) -> None:
        assert admitted_ms > 1_600_000_000_000
        if await claim(self.redis, key, "w") is None:
            self.refused.append(key)
            return
        self.begun.append(key)
        await self.go.wait()
        async with asyncio.timeout(20):
            while True:
                with suppress(StateError):
                    assert await commit(self.redis, key, passed())
                    return


@asynccontextmanager
async def polling(worker: SwitchboardWorker) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run_loop())
        try:
            yield
        finally:
            await worker.close()


def worker_of(desk: Desk, *, max_jobs: int = 10, **options: object) -> SwitchboardWorker:
    return SwitchboardWorker(
        desk.redis,
        desk.take,
        max_jobs=max_jobs,
        job_timeout_s=60,
        poll_delay_s=0.01,
        **options,  # type: ignore[arg-type]
    )


async def test_the_payload_is_four_values(redis: Redis) -> None:
    """Run, index, attempt and time, as msgpack; arq's dict comes out of it and goes back in."""
    await slots(redis)
    await start(redis, "r", plan(1))
    [key] = await admit(redis)
    payload = await ask(redis, "GET", JOB.at(str(key)))
    run, index, attempt, enqueued_ms = msgspec.msgpack.decode(payload)
    assert (run, index, attempt) == ("r", 0, 1)
    assert isinstance(enqueued_ms, int)
    assert write_job(read_job(payload)) == payload


async def test_arq_leaves_nothing_behind(redis: Redis) -> None:
    """A finished job is out of the queue, and so are arq's keys of it."""
    desk = Desk(redis)
    desk.go.set()
    await slots(redis)
    await start(redis, "r", plan(3))
    keys = await admit(redis)
    worker = worker_of(desk)
    async with polling(worker):
        await eventually(lambda: worker.jobs_complete == 3, "all three jobs are done")
    assert sorted(desk.begun, key=str) == sorted(keys, key=str)
    assert await ask(redis, "ZCARD", QUEUE.at()) == 0
    left = [kind.at(str(key)) for kind in (JOB, IN_PROGRESS, ARQ_RETRY) for key in keys]
    assert await ask(redis, "EXISTS", *left) == 0
    assert [name async for name in redis.scan_iter("arq:*")] == []


async def test_arq_skips_scores_in_the_future(redis: Redis) -> None:
    """The lease is the score: a running call is not looked at by a worker with free slots."""
    desk = Desk(redis)
    await slots(redis)
    await start(redis, "r", plan(2))
    first, second = await admit(redis)
    assert await claim(redis, first, "elsewhere")
    async with polling(worker_of(desk)):
        await eventually(lambda: desk.begun == [second], "the second call runs")
        desk.go.set()
    assert desk.refused == []


async def test_arq_finds_work_behind_any_number_of_running_calls(redis: Redis) -> None:
    """More running calls than arq reads per poll do not hide what waits behind them."""
    desk = Desk(redis)
    desk.go.set()
    await slots(redis, 1000)
    await start(redis, "r", plan(301, concurrency=1000))
    keys: list[CallKey] = []
    while batch := await admit(redis):
        keys += batch
    for key in keys[:300]:
        assert await claim(redis, key, "elsewhere")
    worker = worker_of(desk)
    assert worker.queue_read_limit < 300
    async with polling(worker):
        await eventually(lambda: desk.begun == keys[300:], "the waiting call runs")


async def test_the_ceiling_and_the_gate_hold(redis: Redis) -> None:
    """Never more than `max_jobs`; a shut gate or a drain takes nothing."""
    desk = Desk(redis)
    gate = {"open": False}
    asked = {"times": 0}

    def is_open() -> bool:
        asked["times"] += 1
        return gate["open"]

    await slots(redis)
    await start(redis, "r", plan(5))
    await admit(redis)
    worker = worker_of(desk, max_jobs=2, gate=is_open)
    async with polling(worker):
        await eventually(lambda: asked["times"] > 10, "ten polls")
        assert desk.begun == []
        gate["open"] = True
        await eventually(lambda: len(desk.begun) == 2, "two calls run")
        assert worker.job_counter == 2
        worker.drain()
        desk.go.set()
        await eventually(lambda: worker.jobs_complete == 2, "two jobs are done")
        assert not worker.allow_pick_jobs
    assert len(desk.begun) == 2


async def test_a_gate_is_asked_before_each_pick(redis: Redis) -> None:
    """One poll with ten jobs waiting takes only as many as the gate lets through."""
    desk = Desk(redis)
    asked = iter([True] * 4)  # one of these is the poll's own
    await slots(redis)
    await start(redis, "r", plan(10))
    await admit(redis)
    async with polling(worker_of(desk, gate=lambda: next(asked, False))):
        await eventually(lambda: len(desk.begun) == 3, "three calls run")
        desk.go.set()


async def test_a_body_that_raises_costs_no_slot(redis: Redis) -> None:
    """The job is gone from the queue, the slot is free, the loop goes on."""

    async def fail(key: CallKey, admitted_ms: int) -> None:
        raise RuntimeError(f"{key} {admitted_ms}")

    await slots(redis)
    await start(redis, "r", plan(4))
    await admit(redis)
    worker = SwitchboardWorker(redis, fail, max_jobs=1, job_timeout_s=60, poll_delay_s=0.01)
    async with polling(worker):
        await eventually(lambda: worker.jobs_failed == 4, "four jobs failed")
    assert worker.job_counter == 0
    assert await ask(redis, "ZCARD", QUEUE.at()) == 0


async def test_a_running_call_outlives_a_redis_that_is_killed(tmp_path: Path) -> None:
    """Redis is killed under a call and comes back: the call is committed, the next one starts."""
    with valkey(tmp_path) as (url, process):
        redis = connect(url)
        desk = Desk(redis)
        await announce_worker(redis, "w", 100, life_ms=60_000)
        await start(redis, "r", plan(3, concurrency=1))
        await admit(redis)
        worker = worker_of(desk, max_jobs=2)
        async with polling(worker):
            await eventually(lambda: len(desk.begun) == 1, "a call runs")
            process.kill()
            process.wait(10)
            await eventually(lambda: worker.outages > 0, "the outage is met")
            with valkey(tmp_path):
                desk.go.set()
                await eventually(
                    lambda: worker.jobs_complete == 1 and worker.outages == 0,
                    "the call ended and Redis is back",
                )
                await admit(redis)
                await eventually(lambda: worker.jobs_complete == 2, "two jobs are done")
                await admit(redis)
                await eventually(lambda: worker.jobs_complete == 3, "all three jobs are done")
                assert worker.job_counter == 0
                await redis.aclose()
