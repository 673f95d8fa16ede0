"""What only the scheduler asks of calls in Redis: admit them, and take back the lost ones."""

from __future__ import annotations

import msgspec
from redis.asyncio import Redis

from shared.state.call_key import CallKey
from shared.state.keys import CLAIM_MS, LEASE_MS
from shared.state.scripts import script

LOOK_AHEAD = 0
"""Jobs beyond the free slots; more would only wait where cancelling cannot reach them."""
PARK_MS = 200
"""A run that nothing may leave is looked at again after so long, or when a call of it ends."""
REAP_BATCH = 100


class Admitted(msgspec.Struct, frozen=True):
    """What one asking for admission did, and how the fleet stands after it."""

    calls: list[CallKey]
    free_slots: int
    unclaimed: int
    """Calls admitted and not yet claimed, these included."""


class Exhausted(msgspec.Struct, frozen=True):
    """A call whose worker was lost and whose retries are used up: the scheduler's to commit.

    `key` is a new attempt that the scheduler holds, so that the lost worker is fenced off.
    """

    key: CallKey
    earlier_attempts: list[str]


class Reaped(msgspec.Struct, frozen=True):
    """What one asking of the reaper did."""

    withdrawn: int
    """Admitted, and claimed by nobody in time; no attempt was counted."""
    again: int
    """Lost while running, and sent back to be tried again."""
    dropped: int
    """Of cancelled runs."""
    exhausted: list[Exhausted]


async def admit(
    redis: Redis, *, batch: int, claim_ms: int = CLAIM_MS, park_ms: int = PARK_MS
) -> Admitted:
    """Admit up to `batch` calls: fair among runs, in turn among lanes, within every limit."""
    free, unclaimed, *ids = await script("admit")(redis, claim_ms, batch, LOOK_AHEAD, park_ms)
    return Admitted([CallKey.parse(text) for text in ids], free, unclaimed)


async def reap(redis: Redis, *, lease_ms: int = LEASE_MS, batch: int = REAP_BATCH) -> Reaped:
    """Take back calls whose lease or claim deadline has passed."""
    withdrawn, again, dropped, *rest = await script("reap")(redis, lease_ms, batch)
    ended = [
        Exhausted(
            CallKey(run.decode(), int(index), int(attempt)),
            earlier.decode().split(",") if earlier else [],
        )
        for run, index, attempt, earlier in zip(
            rest[::4], rest[1::4], rest[2::4], rest[3::4], strict=True
        )
    ]
    return Reaped(withdrawn, again, dropped, ended)
