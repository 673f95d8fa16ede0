"""What a worker knows of its leases: renewed, cancelled, lost, or Redis gone."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from shared.call import EndedReason
from shared.state.call_key import CallKey
from shared.state.calls import hand_back
from shared.state.keys import LEASES, SLOTS, WORKERS
from shared.state.redis import ask, connect
from shared.state.runs import cancel_run
from tests.conftest import eventually
from tests.integration.state.conftest import valkey
from tests.integration.worker.calls import WORKER, claimed
from worker.leases import Leases
from worker.media.clock import now_ns

LEASE_S = 1.5


class Tenant:
    """Remembers what it was told, and when."""

    def __init__(self) -> None:
        self.reasons: list[EndedReason] = []
        self.told_s = 0.0

    def hang_up(self, reason: EndedReason, detail: str) -> None:
        assert detail
        if not self.reasons:
            self.told_s = time.monotonic()
        self.reasons.append(reason)


@asynccontextmanager
async def kept(redis: Redis) -> AsyncIterator[Leases]:
    leases = Leases(redis, WORKER, 7, LEASE_S)
    keeping = asyncio.create_task(leases.keep())
    try:
        yield leases
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def lease_end_ms(redis: Redis, key: CallKey) -> float:
    return float(await ask(redis, "ZSCORE", LEASES.at(), str(key)) or 0)


async def claimed_lease(redis: Redis) -> tuple[CallKey, int]:
    """A call and when its claim was asked for."""
    asked_ns = now_ns()
    [key] = await claimed(redis, lease_ms=round(LEASE_S * 1000))
    return key, asked_ns


async def test_a_lease_is_renewed_for_as_long_as_the_call_is_held(redis: Redis) -> None:
    """Its end moves past the one that the claim gave, and the call is told nothing."""
    key, asked_ns = await claimed_lease(redis)
    first_ms = await lease_end_ms(redis, key)
    tenant = Tenant()

    async def is_renewed() -> bool:
        return await lease_end_ms(redis, key) > first_ms + LEASE_S * 1000

    async with kept(redis) as leases:
        with leases.held(key, tenant, asked_ns):
            await eventually(is_renewed, "the lease outlived its first length")
    assert tenant.reasons == []


async def test_a_cancelled_run_is_told_by_the_renewal(redis: Redis) -> None:
    """The call stays ours, to be ended and committed."""
    key, asked_ns = await claimed_lease(redis)
    tenant = Tenant()
    async with kept(redis) as leases:
        with leases.held(key, tenant, asked_ns):
            await cancel_run(redis, "r")
            await eventually(lambda: bool(tenant.reasons), "the call was told")
    assert set(tenant.reasons) == {EndedReason.CANCELLED}


async def test_a_call_that_is_ours_no_more_is_told_by_the_renewal(redis: Redis) -> None:
    """Another attempt may be under way: this one hangs up."""
    key, asked_ns = await claimed_lease(redis)
    tenant = Tenant()
    assert await hand_back(redis, key, EndedReason.WORKER_LOST, counts=True)
    async with kept(redis) as leases:
        with leases.held(key, tenant, asked_ns):
            await eventually(lambda: bool(tenant.reasons), "the call was told")
    assert set(tenant.reasons) == {EndedReason.LEASE_LOST}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["refuses", "hangs"])
async def test_a_call_hangs_up_before_a_lease_ends_that_cannot_be_renewed(
    how: signal.Signals, tmp_path: Path
) -> None:
    """Whether Redis is gone or only silent: the watch waits for no answer."""
    with valkey(tmp_path) as (url, process):
        redis = connect(url)
        async with kept(redis) as leases:
            claimed_s = time.monotonic()
            key, asked_ns = await claimed_lease(redis)
            tenant = Tenant()
            os.kill(process.pid, how)
            with leases.held(key, tenant, asked_ns):
                await eventually(lambda: bool(tenant.reasons), "the call was told")
        await redis.aclose()
    assert set(tenant.reasons) == {EndedReason.LEASE_LOST}
    assert tenant.told_s - claimed_s < LEASE_S


async def test_a_slow_answer_to_the_claim_is_part_of_the_lease(redis: Redis) -> None:
    """Redis counts from the claim, so a call that hears of it too late hangs up at once."""
    [key] = await claimed(redis)
    tenant = Tenant()
    leases = Leases(redis, WORKER, 7, LEASE_S)
    with leases.held(key, tenant, now_ns() - int(LEASE_S * 1e9)):
        leases._hang_up_expiring()
    assert tenant.reasons == [EndedReason.LEASE_LOST]


async def test_slots_are_offered_until_the_worker_stops_offering(redis: Redis) -> None:
    """Then they are gone for good, while leases go on being renewed."""
    key, asked_ns = await claimed_lease(redis)

    async def offered() -> bool:
        slots = await ask(redis, "HGET", SLOTS.at(), WORKER)
        return slots == b"7" and await ask(redis, "ZSCORE", WORKERS.at(), WORKER) is not None

    async with kept(redis) as leases:
        await eventually(offered, "the slots are offered")
        await leases.stop_offering()
        with leases.held(key, Tenant(), asked_ns):
            for _ in range(2):
                before_ms = await lease_end_ms(redis, key)

                async def is_renewed(since_ms: float = before_ms) -> bool:
                    return await lease_end_ms(redis, key) > since_ms

                await eventually(is_renewed, "another renewal")
        assert not await offered()
