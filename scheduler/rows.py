"""The rows of a run that has ended, read back from storage in the order of their index.

Owns which attempt of a call counts: what Redis committed while it remembers, else the `winner`
marker. A committed call without a row becomes a void one; nothing makes a run hang.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import islice

import msgspec
import structlog
from redis.asyncio import Redis

from scheduler.void_call import void_call
from shared.call import REASONS, EndedReason, Owner
from shared.plan import RunPlan
from shared.result import CallResult, Winner
from shared.state.calls import CallKey
from shared.state.runs import committed_attempt, committed_reason, cursors
from shared.storage import NotStored, Storage
from shared.storage_keys import call_folder, call_key, winner_key

AT_ONCE = 16
WHY_MISSING = "the call was committed, but its call.json cannot be read from storage"

log = structlog.get_logger()


class Rows:
    """The committed calls of one run."""

    def __init__(self, redis: Redis, storage: Storage, run: str, plan: RunPlan) -> None:
        self._redis = redis
        self._storage = storage
        self._run = run
        self._plan = plan

    async def read(self, *, cancelled: bool) -> AsyncIterator[list[CallResult]]:
        """Batches of rows by index. In a cancelled run a call without a result was never done."""
        begun = await cursors(self._redis, self._run, len(self._plan.agents))
        indexes = self._indexes(begun)
        while batch := list(islice(indexes, AT_ONCE)):
            rows = await asyncio.gather(*(self._row(index, cancelled) for index in batch))
            yield [row for row in rows if row is not None]

    def _indexes(self, begun: list[int]) -> Iterator[int]:
        per_lane = self._plan.calls_per_lane
        for lane, count in enumerate(begun):
            yield from range(lane * per_lane, lane * per_lane + count)

    async def _row(self, index: int, cancelled: bool) -> CallResult | None:
        attempt = await self._winner(index)
        if attempt is None and cancelled:
            return None
        attempt = attempt or await self._last_stored(index)
        key = CallKey(self._run, index, attempt or 1)
        try:
            stored = await self._storage.get(call_key(key.run, key.index, key.attempt))
            return msgspec.json.decode(stored, type=CallResult)
        except (NotStored, msgspec.DecodeError) as error:
            log.warning("row_missing", call=str(key), error=str(error))
        return void_call(self._plan, key, await self._why_lost(index), why_void=WHY_MISSING)

    async def _why_lost(self, index: int) -> EndedReason:
        """What the worker said of it, where that explains a row that is not there."""
        said = await committed_reason(self._redis, self._run, index)
        ours = {r for r, facts in REASONS.items() if facts.owner is Owner.FLEET}
        return EndedReason(said) if said in ours else EndedReason.INTERNAL_ERROR

    async def _winner(self, index: int) -> int | None:
        committed = await committed_attempt(self._redis, self._run, index)
        if committed is not None:
            return committed
        try:
            marker = await self._storage.get(winner_key(self._run, index))
            return msgspec.json.decode(marker, type=Winner).attempt
        except (NotStored, msgspec.DecodeError):
            return None

    async def _last_stored(self, index: int) -> int | None:
        """Of a call whose marker was not written: its latest attempt with a row."""
        folder = call_folder(self._run, index)
        names = await self._storage.keys(folder)
        found = [key.split("/")[-2] for key in names if key.endswith("/call.json")]
        return max((int(attempt) for attempt in found), default=None)
