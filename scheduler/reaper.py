"""The reaper: takes back calls of workers that fell silent, and ends those past all retries.

Owns that no call is left hanging. Safe to run twice at the same time: what is taken back is decided
inside one script, and an ended call is held on a lease like a worker's, so a reaper that dies over
it is reaped.
"""

from __future__ import annotations

import msgspec
import structlog
from redis.asyncio import Redis

from scheduler.plans import PlanLost, Plans
from scheduler.void_call import void_call
from shared.call import REASONS, EndedReason, Validity, Verdict
from shared.errors import FleetError
from shared.result import Winner
from shared.state.admission import Exhausted, reap
from shared.state.calls import Outcome, commit
from shared.state.keys import LEASE_MS
from shared.storage import Storage
from shared.storage_keys import call_key, winner_key
from shared.summary import summary_of

log = structlog.get_logger()


class Reaper:
    """Looks for leases that ran out."""

    def __init__(
        self, redis: Redis, storage: Storage, plans: Plans, *, lease_ms: int = LEASE_MS
    ) -> None:
        self._redis = redis
        self._storage = storage
        self._plans = plans
        self._lease_ms = lease_ms

    async def once(self) -> int:
        """Reap a batch; how many leases that were."""
        reaped = await reap(self._redis, lease_ms=self._lease_ms)
        count = reaped.withdrawn + reaped.again + reaped.dropped + len(reaped.exhausted)
        if count:
            log.warning(
                "leases_reaped",
                withdrawn=reaped.withdrawn,
                again=reaped.again,
                dropped=reaped.dropped,
                exhausted=len(reaped.exhausted),
            )
        for lost in reaped.exhausted:
            try:
                await self._end(lost)
            except FleetError as error:
                # Our lease on it runs out and it is reaped again; if only the marker is missing,
                # closing finds the attempt without it.
                log.warning("lost_call_not_ended", call=str(lost.key), error=str(error))
        return count

    async def _end(self, lost: Exhausted) -> None:
        """Leave a result for a call that no worker can leave one for: storage, Redis, marker."""
        key, summary = lost.key, b"{}"
        try:
            plan = await self._plans.get(key.run)
        except PlanLost as error:
            log.error("run_without_plan", run=key.run, error=str(error))  # noqa: TRY400 - no trace
        else:
            row = void_call(
                plan,
                key,
                EndedReason.WORKER_LOST,
                why_void="the worker was lost and retries were used up",
                earlier_attempts=lost.earlier_attempts,
            )
            place = call_key(key.run, key.index, key.attempt)
            await self._storage.put(place, msgspec.json.encode(row), "application/json")
            summary = msgspec.json.encode(summary_of(row))
        if await commit(self._redis, key, _lost(summary)):
            marker = msgspec.json.encode(Winner(attempt=key.attempt))
            await self._storage.put(winner_key(key.run, key.index), marker, "application/json")


def _lost(summary: bytes) -> Outcome:
    return Outcome(
        verdict=Verdict.NONE,
        validity=Validity.VOID,
        ended_reason=EndedReason.WORKER_LOST,
        failure_owner=REASONS[EndedReason.WORKER_LOST].owner,
        duration_ms=0.0,
        summary=summary,
    )
