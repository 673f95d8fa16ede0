"""What comes in over the stream is answered, once, with a run or with a reason."""

from __future__ import annotations

import asyncio

import msgspec
from redis.asyncio import Redis

from scheduler.intake import Intake
from shared.call import RunState
from shared.result import RunResult
from shared.source_bounds import MAX_BYTES
from shared.state.keys import SUBMISSIONS
from shared.state.redis import ask
from shared.state.runs import read_run
from shared.state.submissions import (
    GROUP,
    Accepted,
    Refused,
    answer,
    open_stream,
    run_id,
    submit,
    take,
    withdraw,
)
from shared.storage import Storage
from shared.storage_keys import plan_key, run_key
from tests.integration.state.plans import surface_text


async def settle(redis: Redis, storage: Storage) -> None:
    intake = Intake(redis, storage, "one")
    while await intake.once(wait_ms=0):
        pass
    assert await ask(redis, "XLEN", SUBMISSIONS.at()) == 0


async def refusal(redis: Redis, storage: Storage, plan: bytes) -> Refused:
    await submit(redis, plan, "s")
    await settle(redis, storage)
    said = await answer(redis, "s")
    assert isinstance(said, Refused)
    return said


async def test_a_plan_becomes_a_run_with_its_record_in_storage(redis: Redis) -> None:
    """Plan and run record are stored, the run is started, the answer lives an hour."""
    storage = Storage.open("memory://")
    assert await answer(redis, "s") is None
    await submit(redis, surface_text(3), "s", submitted_by="a test")
    await settle(redis, storage)
    said = await answer(redis, "s")
    assert isinstance(said, Accepted)
    run = await read_run(redis, said.run)
    assert run is not None
    assert (run.state, run.planned, run.record.submitted_by) == ("running", 3, "a test")
    assert await storage.get(plan_key(said.run)) == surface_text(3)
    record = msgspec.json.decode(await storage.get(run_key(said.run)), type=RunResult)
    assert (record.state, record.verdict, record.counts.planned) == ("running", "none", 3)
    assert len(record.plan_sha256) == 64
    assert 3500 < await ask(redis, "TTL", "phonebank:answer:s") <= 3600


async def test_the_wire_is_what_the_documentation_says(redis: Redis) -> None:
    """A plain XADD and GET do, without any of our code."""
    client = redis
    await client.xadd("phonebank:submissions", {"submission": "x", "plan": surface_text()})
    await settle(redis, Storage.open("memory://"))
    said = msgspec.json.decode(await client.get("phonebank:answer:x"))
    assert list(said) == ["accepted"]
    assert said["accepted"]["run"].startswith("run-")


async def test_a_key_given_twice_is_the_same_run(redis: Redis) -> None:
    """Whatever the second plan says, the run is the first."""
    storage = Storage.open("memory://")
    await submit(redis, surface_text(3), "one", "nightly-1")
    await submit(redis, surface_text(9), "two", "nightly-1")
    await settle(redis, storage)
    first, second = await answer(redis, "one"), await answer(redis, "two")
    assert isinstance(first, Accepted)
    assert first == second
    run = await read_run(redis, first.run)
    assert run is not None
    assert run.planned == 3
    assert await storage.get(plan_key(first.run)) == surface_text(3)


async def test_a_key_of_a_finished_run_that_redis_forgot_does_not_run_again(redis: Redis) -> None:
    """Storage remembers longer than Redis."""
    storage = Storage.open("memory://")
    await submit(redis, surface_text(), "one", "nightly-1")
    await settle(redis, storage)
    first = await answer(redis, "one")
    assert isinstance(first, Accepted)
    stored = msgspec.json.decode(await storage.get(run_key(first.run)), type=RunResult)
    ended = msgspec.structs.replace(stored, state=RunState.FINISHED)
    await storage.put(run_key(first.run), msgspec.json.encode(ended))
    await redis.flushall()
    await submit(redis, surface_text(), "two", "nightly-1")
    await settle(redis, storage)
    assert await answer(redis, "two") == first
    assert await read_run(redis, first.run) is None


async def test_a_key_whose_record_cannot_be_read_does_not_stop_intake(redis: Redis) -> None:
    """It was a run, of some other version: it is not run again, and the next plan is answered."""
    storage = Storage.open("memory://")
    await storage.put(run_key(run_id("one", "nightly-1")), b'{"run":1}')
    await submit(redis, surface_text(), "one", "nightly-1")
    await submit(redis, surface_text(), "two")
    await settle(redis, storage)
    first, second = await answer(redis, "one"), await answer(redis, "two")
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert await read_run(redis, first.run) is None
    assert await read_run(redis, second.run) is not None


async def test_a_broken_plan_is_refused_with_its_place(redis: Redis) -> None:
    """The refusal names path, reason and what would be right."""
    tree = msgspec.json.decode(surface_text())
    tree["personas"][0]["sped"] = 2
    said = await refusal(redis, Storage.open("memory://"), msgspec.json.encode(tree))
    assert said.path.startswith("$.personas[0]")
    assert "sped" in said.message + said.path
    assert said.right


async def test_what_is_no_plan_is_refused(redis: Redis) -> None:
    """Nonsense, nothing, and too much are answered too."""
    storage = Storage.open("memory://")
    for plan in (b"\x00\xff", b"[]", b"{", b"", b" " * (MAX_BYTES + 1)):
        assert (await refusal(redis, storage, plan)).message


async def test_fields_that_do_not_belong_are_refused(redis: Redis) -> None:
    """A misspelt field is not ignored."""
    fields = ("submission", "s", "plan", surface_text(), "idempotency", "k")
    await ask(redis, "XADD", SUBMISSIONS.at(), "*", *fields)
    await settle(redis, Storage.open("memory://"))
    said = await answer(redis, "s")
    assert isinstance(said, Refused)
    assert "idempotency" in said.message


async def test_an_entry_without_an_id_is_put_away(redis: Redis) -> None:
    """It cannot be answered and must not be met again."""
    await redis.xadd(SUBMISSIONS.at(), {"plan": b"x"})
    await redis.xadd(SUBMISSIONS.at(), {"submission": b"x" * 300, "plan": b"x"})
    await settle(redis, Storage.open("memory://"))
    assert [key async for key in redis.scan_iter("phonebank:answer:*")] == []


async def test_a_yaml_plan_is_stored_as_json(redis: Redis) -> None:
    """People may hand over what they wrote; plan.json is JSON all the same."""
    storage = Storage.open("memory://")
    yaml = (
        "version: 1\nname: test\n"
        "agents: [{name: bot, smallwebrtc: {offer_url: 'http://127.0.0.1:1/api/offer'}}]\n"
        "scenarios: [{name: hello, script: [{say: Hello.}, {hang_up: {}}]}]\n"
        "personas: [{name: calm}]\n"
    )
    await submit(redis, yaml.encode(), "s")
    await settle(redis, storage)
    said = await answer(redis, "s")
    assert isinstance(said, Accepted)
    assert msgspec.json.decode(await storage.get(plan_key(said.run)))["name"] == "test"


async def test_a_dead_schedulers_submission_is_taken_over(redis: Redis) -> None:
    """What another took and did not answer is answered by the next."""
    await submit(redis, surface_text(), "s")
    await open_stream(redis)
    assert await take(redis, "dead", limit=1, block_ms=0, abandoned_ms=60_000)
    intake = Intake(redis, Storage.open("memory://"), "next", abandoned_ms=1)
    async with asyncio.timeout(5):
        while await answer(redis, "s") is None:
            await intake.once(wait_ms=1)


async def test_what_was_taken_back_is_not_taken_over_from_a_dead_scheduler(redis: Redis) -> None:
    """Its sender gave up: it is neither waiting nor abandoned."""
    await open_stream(redis)
    entry = await submit(redis, surface_text(), "s")
    assert await take(redis, "dead", limit=1, block_ms=0, abandoned_ms=60_000)
    await withdraw(redis, entry)
    assert not await take(redis, "next", limit=1, block_ms=0, abandoned_ms=0)
    assert (await redis.xpending(SUBMISSIONS.at(), GROUP))["pending"] == 0


async def test_two_schedulers_at_once_answer_everything_once(redis: Redis) -> None:
    """Twenty submissions, four intakes: twenty runs."""
    storage = Storage.open("memory://")
    for number in range(20):
        await submit(redis, surface_text(), f"s{number}")
    await asyncio.gather(*(Intake(redis, storage, f"i{n}").once(wait_ms=1) for n in range(4)))
    said = [await answer(redis, f"s{number}") for number in range(20)]
    assert len({found.run for found in said if isinstance(found, Accepted)}) == 20
