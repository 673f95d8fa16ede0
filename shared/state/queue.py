"""arq's format and a worker of it that survives Redis. Owns everything that is arq's.

Refuses arq's retries, results, aborts, hooks, cron and health key: a redelivery is a decision of
the scheduler. A job is one attempt of a call; its id is `run:index:attempt` and its payload the
msgpack array `[run, index, attempt, enqueued_ms]`, written by `admit.lua`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
import structlog
from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.asyncio import Redis
from redis.asyncio.connection import BlockingConnectionPool
from redis.exceptions import RedisError

from shared.state.call_key import CallKey
from shared.state.keys import QUEUE

log = structlog.get_logger()

QUEUE_NAME = QUEUE.pattern
FUNCTION_NAME = "call"
POLL_DELAY_S = 0.1
LONGEST_BACK_OFF_S = 5.0

_OUTAGE = (RedisError, OSError, TimeoutError)

JobBody = Callable[[CallKey, int], Awaitable[None]]
"""Carries out one attempt; given its key and the Redis time (ms) at which it was admitted."""


def read_job(payload: bytes) -> dict[str, Any]:
    """arq's own dict for a payload of ours (`f`unction, `a`rguments, `et` enqueue time, ...)."""
    run, index, attempt, enqueued_ms = msgspec.msgpack.decode(
        payload, type=tuple[str, int, int, int]
    )
    arguments = (run, index, attempt, enqueued_ms)
    return {"t": None, "f": FUNCTION_NAME, "a": arguments, "k": {}, "et": enqueued_ms}


def write_job(job: dict[str, Any]) -> bytes:
    """The inverse of `read_job`."""
    return msgspec.msgpack.encode(tuple(job["a"]))


def queue_client(pool: BlockingConnectionPool) -> Redis:
    """A Redis client that arq accepts as its own."""
    client = ArqRedis(
        pool, job_serializer=write_job, job_deserializer=read_job, default_queue_name=QUEUE_NAME
    )
    client.auto_close_connection_pool = True  # the pool was made for this client alone
    return cast("Redis", client)


class SwitchboardWorker(Worker):
    """An arq worker whose loop outlives Redis outages and whose gate is asked before each pick.

    `max_jobs` is the hard ceiling of slots, fixed for life (arq's semaphore cannot grow); `gate`
    steers below it. `job_timeout_s` must exceed the longest call with its upload. It borrows
    `redis` and closes nothing. `run_loop()` runs until `stop()`; `drain()` stops picking for good.
    """

    def __init__(
        self,
        redis: Redis,
        call: JobBody,
        *,
        max_jobs: int,
        job_timeout_s: float,
        gate: Callable[[], bool] = lambda: True,
        poll_delay_s: float = POLL_DELAY_S,
    ) -> None:
        self.gate = gate
        self.draining = False
        self.outages = 0
        self._stopping = asyncio.Event()
        self._body = call
        logging.getLogger("arq").setLevel(logging.WARNING)
        super().__init__(
            functions=[func(cast("Any", self._carry_out), name=FUNCTION_NAME)],
            queue_name=QUEUE_NAME,
            redis_pool=cast("ArqRedis", redis),
            handle_signals=False,
            max_jobs=max_jobs,
            job_timeout=job_timeout_s,
            keep_result=0,
            poll_delay=poll_delay_s,
            max_tries=1,
            retry_jobs=False,
            allow_abort_jobs=False,
            log_results=False,
            job_serializer=write_job,
            job_deserializer=read_job,
        )

    @property
    def allow_pick_jobs(self) -> bool:
        """Whether the next job may be taken now."""
        return not self.draining and self.gate()

    @allow_pick_jobs.setter
    def allow_pick_jobs(self, value: bool) -> None:
        # arq writes True while constructing; only its False (stop) means something here.
        self.draining = self.draining or not value

    def drain(self) -> None:
        """Take no more jobs, ever; those that run go on."""
        self.draining = True

    def stop(self) -> None:
        """Drain, and let `run_loop` return after the poll that it is in."""
        self.drain()
        self._stopping.set()

    async def run_loop(self) -> None:
        """Poll until stopped or cancelled. Running jobs go on: see `wait_for_jobs`."""
        while not self._stopping.is_set():
            await self._poll_iteration()
            await self._pause(self.poll_delay_s)

    async def _pause(self, pause_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()

    async def wait_for_jobs(self) -> None:
        """Return when no job runs."""
        while self.tasks:
            await asyncio.wait(self.tasks.values())
            self._forget_ended()

    async def main(self) -> None:
        """arq's entry, without its INFO request and hooks."""
        await self.run_loop()

    async def close(self) -> None:
        """Stop and wait for running jobs; the connection is its owner's to close."""
        self.stop()
        await self.wait_for_jobs()

    async def record_health(self) -> None:
        """Nothing: arq's health key is shared by all workers of a queue."""

    async def _poll_iteration(self) -> None:
        try:
            await super()._poll_iteration()
        except _OUTAGE as error:
            self.outages += 1
            back_off_s = min(self.poll_delay_s * 2**self.outages, LONGEST_BACK_OFF_S)
            log.warning("queue_unreachable", error=str(error), back_off_s=back_off_s)
            await self._pause(back_off_s)
        else:
            self.outages = 0

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Take jobs one by one, asking the gate before each.

        arq counts a job as running before it asks Redis and forgets to take that back when Redis
        fails, which would cost a slot per outage.
        """
        for job_id in job_ids:
            if not self.allow_pick_jobs or self.job_counter >= self.max_jobs:
                return
            try:
                await super().start_jobs([job_id])
            except _OUTAGE:
                if job_id.decode() not in self.tasks:
                    self._release_sem_dec_counter_on_complete()
                raise

    async def _carry_out(
        self, _ctx: dict[Any, Any], run: str, index: int, attempt: int, enqueued_ms: int
    ) -> None:
        await self._body(CallKey(run, index, attempt), enqueued_ms)

    def _forget_ended(self) -> None:
        for job_id, task in list(self.tasks.items()):
            if not task.done():
                continue
            del self.tasks[job_id]
            if not task.cancelled() and task.exception() is not None:
                log.warning("job_left_behind", job=job_id, error=str(task.exception()))
