"""A run whose calls have ended gets its files, its verdict and its end."""

from __future__ import annotations

import asyncio

import msgspec
from redis.asyncio import Redis

from scheduler.closing import Closing
from scheduler.intake import Intake
from scheduler.plans import Plans
from scheduler.reaper import Reaper
from shared.call import CallStage, EndedReason, Validity, Verdict
from shared.expansion import call_of_index
from shared.plan_text import read_plan
from shared.result import CallResult, RunResult, Winner
from shared.state.call_key import CallKey
from shared.state.calls import claim, commit
from shared.state.keys import CALL, CLOSING, PLAN
from shared.state.redis import ask
from shared.state.runs import RunStatus, cancel_run, read_run
from shared.state.submissions import Accepted, answer, submit
from shared.storage import Storage
from shared.storage_keys import call_key, rows_key, run_key, winner_key
from tests.integration.state.plans import (
    admit,
    admit_and_claim,
    passed,
    slots,
    surface_text,
    void,
)


class Fleet:
    """A run under way, without workers: the test is the worker."""

    def __init__(self, redis: Redis, text: bytes) -> None:
        self.redis = redis
        self.text = text
        self.storage = Storage.open("memory://")
        self.plans = Plans(redis, self.storage)
        self.closing = Closing(redis, self.storage, self.plans)
        self.run = ""

    async def begin(self) -> None:
        await slots(self.redis)
        await submit(self.redis, self.text, "s")
        await Intake(self.redis, self.storage, "i").once(wait_ms=0)
        said = await answer(self.redis, "s")
        assert isinstance(said, Accepted)
        self.run = said.run

    async def end_call(self, key: CallKey, *, stored: bool = True) -> None:
        plan = read_plan(self.text)
        spec = call_of_index(plan, key.index)
        row = CallResult(
            run=key.run,
            index=key.index,
            attempt=key.attempt,
            seed=spec.seed,
            agent="bot",
            scenario="hello",
            persona="calm",
            repetition=spec.repetition,
            stage=CallStage.DONE,
            ended_reason=EndedReason.CALLER_HUNG_UP,
            failure_owner=None,
            validity=Validity.VALID,
            verdict=Verdict.PASS,
        )
        if stored:
            place = call_key(key.run, key.index, key.attempt)
            await self.storage.put(place, msgspec.json.encode(row))
        assert await commit(self.redis, key, passed())

    async def result(self) -> RunResult:
        return msgspec.json.decode(await self.storage.get(run_key(self.run)), type=RunResult)

    async def rows(self) -> list[CallResult]:
        text = await self.storage.get(rows_key(self.run))
        return [msgspec.json.decode(line, type=CallResult) for line in text.splitlines()]

    async def status(self) -> RunStatus:
        status = await read_run(self.redis, self.run)
        assert status is not None
        return status


async def test_a_run_ends_with_rows_in_order_and_a_verdict(redis: Redis) -> None:
    """calls.jsonl is by index whatever order calls ended in; then Redis says finished."""
    fleet = Fleet(redis, surface_text(40))
    await fleet.begin()
    for key in reversed(await admit_and_claim(redis)):
        assert await fleet.closing.once() == 0
        await fleet.end_call(key)
    assert await fleet.closing.once() == 1
    assert [row.index for row in await fleet.rows()] == list(range(40))
    result = await fleet.result()
    assert (result.state, result.verdict, result.counts.passed) == ("finished", "pass", 40)
    status = await fleet.status()
    assert (status.state, status.verdict, status.over) == ("finished", "pass", True)
    assert await fleet.closing.once() == 0


async def test_closing_twice_at_the_same_time_gives_one_end(redis: Redis) -> None:
    """Two schedulers that both hold the run write the same and neither fails."""
    fleet = Fleet(redis, surface_text(2))
    await fleet.begin()
    for key in await admit_and_claim(redis):
        await fleet.end_call(key)

    async def close() -> int:
        await ask(redis, "ZADD", CLOSING.at(), "XX", 1, fleet.run)  # the other one was too slow
        return await Closing(redis, fleet.storage, fleet.plans).once()

    await asyncio.gather(*(close() for _ in range(4)))
    while await fleet.closing.once():
        pass
    assert len(await fleet.rows()) == 2
    assert (await fleet.status()).verdict == "pass"


async def test_a_committed_call_without_a_row_is_void_and_the_run_still_ends(redis: Redis) -> None:
    """Storage may lose an object; the run says so and does not hang."""
    fleet = Fleet(redis, surface_text(2))
    await fleet.begin()
    one, two = await admit_and_claim(redis)
    await fleet.end_call(one)
    await fleet.end_call(two, stored=False)
    assert await fleet.closing.once() == 1
    rows = await fleet.rows()
    assert [row.validity for row in rows] == ["valid", "void"]
    assert (rows[1].ended_reason, rows[1].failure_owner) == ("internal_error", "fleet")
    assert (await fleet.status()).verdict == "none", "half of the planned calls were judged"


async def test_a_call_that_storage_refused_keeps_its_reason(redis: Redis) -> None:
    """What the worker committed explains the row that could not be stored."""
    fleet = Fleet(redis, surface_text(1))
    await fleet.begin()
    (key,) = await admit_and_claim(redis)
    refused = msgspec.structs.replace(void(), ended_reason=EndedReason.STORAGE_FAILED)
    assert await commit(redis, key, refused)
    assert await fleet.closing.once() == 1
    (row,) = await fleet.rows()
    assert (row.ended_reason, row.failure_owner) == ("storage_failed", "fleet")
    assert (row.validity, row.failed_step) == ("void", "upload")


async def test_winners_are_found_after_redis_forgot_the_calls(redis: Redis) -> None:
    """An hour later the marker tells, and without a marker the latest attempt with a row."""
    fleet = Fleet(redis, surface_text(2))
    await fleet.begin()
    for key in await admit_and_claim(redis):
        await fleet.end_call(key)
        await ask(redis, "DEL", CALL.at(key.run, key.index))
    row = await fleet.storage.get(call_key(fleet.run, 0, 1))
    await fleet.storage.put(call_key(fleet.run, 0, 3), row)
    await fleet.storage.put(call_key(fleet.run, 1, 3), row)
    await fleet.storage.put(winner_key(fleet.run, 1), msgspec.json.encode(Winner(attempt=1)))
    assert await fleet.closing.once() == 1
    assert [row.index for row in await fleet.rows()] == [0, 1]


async def test_a_cancelled_run_keeps_what_was_done(redis: Redis) -> None:
    """State cancelled, no verdict, the calls that ended in calls.jsonl, the others missing."""
    fleet = Fleet(redis, surface_text(10_000_000, concurrency=2))
    await fleet.begin()
    one, two = await admit(redis)
    assert await claim(redis, one, "w")
    await cancel_run(redis, fleet.run)
    assert await claim(redis, two, "w") is None
    await fleet.end_call(one)
    assert await fleet.closing.once() == 1
    assert [row.index for row in await fleet.rows()] == [0]
    result = await fleet.result()
    assert (result.state, result.verdict) == ("cancelled", "none")
    assert result.counts.missing == 9_999_999
    assert (await fleet.status()).state == "cancelled"


async def test_a_call_lost_past_its_retries_is_ended_by_the_reaper(redis: Redis) -> None:
    """The row is stored before the commit, says worker_lost, and belongs to the fleet."""
    fleet = Fleet(redis, surface_text(1, retries=0))
    await fleet.begin()
    [key] = await admit(redis)
    assert await claim(redis, key, "w", lease_ms=1)
    reaper = Reaper(redis, fleet.storage, fleet.plans)
    async with asyncio.timeout(5):
        while not await reaper.once():
            pass
    assert not await commit(redis, key, void())
    assert await fleet.closing.once() == 1
    [row] = await fleet.rows()
    assert (row.ended_reason, row.validity, row.failure_owner) == ("worker_lost", "void", "fleet")
    assert row.attempt == 2
    assert await fleet.storage.exists(winner_key(fleet.run, 0))


async def test_a_run_whose_plan_is_lost_still_ends(redis: Redis) -> None:
    """Nothing is left hanging, not even what nobody can read any more."""
    fleet = Fleet(redis, surface_text(1, retries=0))
    await fleet.begin()
    [key] = await admit_and_claim(redis)
    await ask(redis, "SET", PLAN.at(fleet.run), b"{}", "EX", 100)
    await fleet.end_call(key)
    assert await fleet.closing.once() == 1
    assert (await fleet.status()).state == "finished"
    assert (await fleet.result()).verdict == "none"
