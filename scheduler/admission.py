"""Admission: hands calls to the workers as slots come free. All deciding is `admit.lua`'s.

Safe to run twice at the same time: a call is admitted inside one script or not at all.
"""

from __future__ import annotations

from redis.asyncio import Redis

from shared import metrics
from shared.state.admission import admit

BATCH = 100
"""Calls per asking: bounds how long Redis is busy with one script."""


class Admission:
    """Admits until nothing more can go."""

    def __init__(self, redis: Redis, *, batch: int = BATCH) -> None:
        self._redis = redis
        self._batch = batch

    async def once(self) -> int:
        """Admit a batch; how many calls that were."""
        admitted = await admit(self._redis, batch=self._batch)
        metrics.queue_depth(admitted.unclaimed)
        return len(admitted.calls)
