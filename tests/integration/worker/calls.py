"""Claimed calls and results that the tests of this folder share."""

from __future__ import annotations

import msgspec
from redis.asyncio import Redis

from shared.call import REASONS, CallStage, EndedReason, Owner, Step, Validity, Verdict
from shared.result import CallResult, StepRecord
from shared.state.call_key import CallKey
from shared.state.calls import claim
from tests.integration.state.plans import admit, plan, slots, start

WORKER = "desk-1"


async def claimed(
    redis: Redis, *, calls: int = 1, retries: int = 1, lease_ms: int = 30_000
) -> list[CallKey]:
    """The calls of run `r`, all held by `WORKER`."""
    await slots(redis)
    await start(redis, "r", plan(calls, retries=retries))
    keys = await admit(redis)
    for key in keys:
        assert await claim(redis, key, WORKER, lease_ms=lease_ms)
    return keys


def result(key: CallKey, reason: EndedReason = EndedReason.CALLER_HUNG_UP) -> CallResult:
    """A result as `worker.call` would give it for this reason."""
    owner = REASONS[reason].owner
    ours = owner in {Owner.FLEET, Owner.CONFIG}
    good = CallResult(
        run=key.run,
        index=key.index,
        attempt=key.attempt,
        seed=1,
        agent="bot",
        scenario="hello",
        persona="calm",
        repetition=0,
        stage=CallStage.DONE,
        ended_reason=reason,
        failure_owner=owner,
        validity=Validity.VOID if ours else Validity.VALID,
        verdict=Verdict.NONE if ours else Verdict.PASS,
        steps=[
            StepRecord(name=Step.CONVERSATION, started_ms=100.0, took_ms=2000.0, outcome="ok"),
            StepRecord(name=Step.RECORDING, started_ms=2100.0, took_ms=50.0, outcome="ok"),
        ],
    )
    return msgspec.structs.replace(good, detail=REASONS[reason].sentence)
