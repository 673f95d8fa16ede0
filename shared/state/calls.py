"""A call in Redis as a worker sees it: claim, renew, commit, hand back; and the worker's own life.

Owns fencing: whoever does not hold the current attempt is told so and changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from enum import StrEnum

import msgspec
from redis.asyncio import Redis

from shared.call import EndedReason, Owner, Validity, Verdict
from shared.state.call_key import CallKey
from shared.state.keys import EVENTS_KEPT, LEASE_MS, SLOTS, WORKER_LIFE_MS, WORKERS
from shared.state.redis import ask
from shared.state.scripts import script

__all__ = [
    "CallKey",
    "Claim",
    "Holding",
    "Outcome",
    "Renewal",
    "announce_worker",
    "claim",
    "commit",
    "hand_back",
    "renew",
    "withdraw_worker",
]


class Claim(msgspec.Struct, frozen=True):
    """A call that is ours. `lease_expires_ms` is Redis time, not the worker's."""

    lease_expires_ms: int
    earlier_attempts: list[str]
    """Ended reasons of the attempts before, oldest first."""


class Holding(StrEnum):
    """What a renewal says of a call."""

    HELD = "held"
    CANCELLED = "cancelled"
    """Still ours, to be ended and committed: its run was cancelled."""
    LOST = "lost"
    """Not ours any more: hang up and commit nothing."""


class Renewal(msgspec.Struct, frozen=True):
    """One call's part of the answer to `renew`."""

    key: CallKey
    state: Holding


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted of a call's result; `summary` is a small JSON row for progress."""

    verdict: Verdict
    validity: Validity
    ended_reason: EndedReason
    failure_owner: Owner | None
    duration_ms: float
    summary: bytes = b"{}"


async def claim(
    redis: Redis, key: CallKey, worker: str, *, lease_ms: int = LEASE_MS
) -> Claim | None:
    """The first act on a job: admitted becomes running. None: the call is not ours (any more)."""
    token = secrets.token_hex(8)
    answer = await script("claim")(redis, key.run, key.index, key.attempt, worker, token, lease_ms)
    if answer is None:
        return None
    ends_ms, earlier = answer
    return Claim(int(ends_ms), earlier.decode().split(",") if earlier else [])


async def renew(
    redis: Redis, worker: str, keys: Sequence[CallKey], *, lease_ms: int = LEASE_MS
) -> list[Renewal]:
    """Extend all leases of a worker at once; the answer is also how it hears of cancellations."""
    if not keys:
        return []
    parts = [part for key in keys for part in (key.run, key.index, key.attempt)]
    answers = await script("renew")(redis, worker, lease_ms, *parts)
    return [
        Renewal(key, Holding(answer.decode())) for key, answer in zip(keys, answers, strict=True)
    ]


async def commit(redis: Redis, key: CallKey, outcome: Outcome) -> bool:
    """Make this attempt's result the call's. False: fenced off, another attempt is current.

    Asking again after True is True and counts nothing twice.
    """
    return bool(
        await script("commit")(
            redis,
            key.run,
            key.index,
            key.attempt,
            outcome.verdict,
            outcome.validity,
            outcome.ended_reason,
            outcome.failure_owner or "",
            outcome.summary,
            EVENTS_KEPT,
            round(outcome.duration_ms),
        )
    )


async def hand_back(redis: Redis, key: CallKey, reason: EndedReason, *, counts: bool) -> bool:
    """Give a running call back to admission. `counts`: it uses up one of `limits.retries`.

    True: it will be tried again as a later attempt. False: retries are used up or the run is
    cancelled, so commit it instead (which says False if the call was lost meanwhile).
    """
    return bool(
        await script("hand_back")(redis, key.run, key.index, key.attempt, reason, int(counts))
    )


async def announce_worker(
    redis: Redis, worker: str, slots: int, *, life_ms: int = WORKER_LIFE_MS
) -> None:
    """Offer `slots` places in all, those in use included, for `life_ms` from now."""
    await script("announce")(redis, worker, slots, life_ms)


async def withdraw_worker(redis: Redis, worker: str) -> None:
    """Offer nothing any more; calls still held go on, as long as their leases are renewed."""
    await ask(redis, "ZREM", WORKERS.at(), worker)
    await ask(redis, "HDEL", SLOTS.at(), worker)
