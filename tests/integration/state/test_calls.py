"""Claim, renew, commit and hand back: one result per call, whatever is asked twice."""

from __future__ import annotations

from redis.asyncio import Redis

from shared.call import EndedReason
from shared.state.call_key import CallKey
from shared.state.calls import claim, commit, hand_back, renew
from shared.state.keys import LEASES, QUEUE
from shared.state.redis import ask
from shared.state.runs import cancel_run, events, read_run
from tests.integration.state.plans import admit, admit_and_claim, passed, plan, slots, start, void


async def one_call(redis: Redis, *, retries: int = 1, calls: int = 1) -> CallKey:
    await slots(redis)
    await start(redis, "r", plan(calls, retries=retries))
    keys = await admit_and_claim(redis)
    return keys[0]


async def test_a_claim_puts_the_job_out_of_reach_until_the_lease_ends(redis: Redis) -> None:
    """While a call runs, its score in the queue is its lease's end, in the future."""
    await slots(redis)
    await start(redis, "r", plan(1))
    [key] = await admit(redis)
    mine = await claim(redis, key, "w", lease_ms=30_000)
    assert mine is not None
    assert mine.earlier_attempts == []
    assert await ask(redis, "ZSCORE", QUEUE.at(), str(key)) == mine.lease_expires_ms
    assert await ask(redis, "ZSCORE", LEASES.at(), str(key)) == mine.lease_expires_ms
    assert await claim(redis, key, "w") is None


async def test_a_renewal_extends_and_tells_of_lost_and_cancelled_calls(redis: Redis) -> None:
    """One batch gives a state per call, in order."""
    key = await one_call(redis)
    stranger = CallKey("r", 0, 9)
    answers = await renew(redis, "w", [key, stranger], lease_ms=60_000)
    assert [(answer.key, answer.state) for answer in answers] == [(key, "held"), (stranger, "lost")]
    assert [answer.state for answer in await renew(redis, "other", [key])] == ["lost"]
    await cancel_run(redis, "r")
    assert [answer.state for answer in await renew(redis, "w", [key])] == ["cancelled"]


async def test_a_commit_counts_once_however_often_it_is_asked(redis: Redis) -> None:
    """The same attempt may ask again (its answer was lost); counters move once."""
    key = await one_call(redis)
    assert await commit(redis, key, passed())
    assert await commit(redis, key, passed())
    run = await read_run(redis, "r")
    assert run is not None
    assert (run.done, run.passed, run.void, run.running, run.admitted) == (1, 1, 0, 0, 0)
    assert run.ended_reasons == {"caller_hung_up": 1}
    assert run.state == "finishing"
    assert await ask(redis, "ZCARD", QUEUE.at()) == 0
    assert len(await events(redis, "r")) == 1


async def test_a_stale_attempt_is_fenced_off(redis: Redis) -> None:
    """Once the call is another attempt's, the old one can neither commit nor hand back."""
    old = await one_call(redis)
    assert await hand_back(redis, old, EndedReason.STUDIO_FAILED, counts=True)
    [new] = await admit(redis)
    assert (new.index, new.attempt) == (old.index, 2)
    second = await claim(redis, new, "w2")
    assert second is not None
    assert second.earlier_attempts == ["studio_failed"]
    assert not await commit(redis, old, void())
    assert not await hand_back(redis, old, EndedReason.STUDIO_FAILED, counts=True)
    assert await commit(redis, new, passed())
    run = await read_run(redis, "r")
    assert run is not None
    assert (run.done, run.passed, run.void, run.retried) == (1, 1, 0, 1)


async def test_a_call_that_was_not_claimed_cannot_be_committed(redis: Redis) -> None:
    """Admitted is not running."""
    await slots(redis)
    await start(redis, "r", plan(1))
    [key] = await admit(redis)
    assert not await commit(redis, key, passed())


async def test_retries_are_used_up_and_drains_are_free(redis: Redis) -> None:
    """`counts` spends `limits.retries`; a drain gives back as often as it likes."""
    key = await one_call(redis, retries=1)
    reason = EndedReason.DRAINED
    assert await hand_back(redis, key, reason, counts=False)
    assert await hand_back(redis, key, reason, counts=False), "asked again: same answer"
    [key] = await admit_and_claim(redis)
    assert await hand_back(redis, key, EndedReason.CLIP_FAILED, counts=True)
    [key] = await admit_and_claim(redis)
    assert key.attempt == 3
    assert not await hand_back(redis, key, EndedReason.CLIP_FAILED, counts=True)
    assert await commit(redis, key, void())


async def test_a_retry_goes_before_the_rest_of_its_lane(redis: Redis) -> None:
    """What was begun is ended first."""
    await slots(redis, 2)
    await start(redis, "r", plan(10))
    first, _ = await admit_and_claim(redis)
    assert await hand_back(redis, first, EndedReason.CLIP_FAILED, counts=True)
    [again] = await admit(redis)
    assert again == CallKey("r", 0, 2)


async def test_events_follow_on_from_the_last_seen(redis: Redis) -> None:
    """Progress reads each ended call once, with its summary."""
    await slots(redis)
    await start(redis, "r", plan(2))
    one, two = await admit_and_claim(redis)
    await commit(redis, one, passed())
    [first] = await events(redis, "r")
    assert (first.key, first.verdict, first.summary) == (one, "pass", b'{"agent":"bot"}')
    assert await events(redis, "r", first.id, 5) == []
    await commit(redis, two, void())
    [second] = await events(redis, "r", first.id, 1000)
    assert (second.key, second.validity, second.ended_reason) == (two, "void", "worker_lost")
