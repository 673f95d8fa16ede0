"""The plans of the runs at hand, read once each. Owns where a plan is looked for."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from redis.asyncio import Redis

from shared.errors import PlanError, StateError
from shared.plan import RunPlan
from shared.plan_text import read_plan
from shared.state.runs import plan_text
from shared.storage import NotStored, Storage
from shared.storage_keys import plan_key

PLANS_KEPT = 16


class PlanLost(StateError):  # noqa: N818 - a state of the run, told apart from an outage
    """The plan is nowhere, or this version cannot read it; trying again will not help."""

    reason = "plan_lost"
    retryable = False


class Plans:
    """Reads from Redis, then from storage; keeps the latest few."""

    def __init__(self, redis: Redis, storage: Storage) -> None:
        self._redis = redis
        self._storage = storage
        self._kept: OrderedDict[str, RunPlan] = OrderedDict()

    async def get(self, run: str) -> RunPlan:
        """The run's plan; raises `PlanLost` when it is nowhere or cannot be read."""
        if run in self._kept:
            self._kept.move_to_end(run)
            return self._kept[run]
        text = await plan_text(self._redis, run) or await self._stored(run)
        try:
            plan = await asyncio.to_thread(read_plan, text)
        except PlanError as error:
            raise PlanLost(f"{run}: the stored plan cannot be read: {error}") from error
        self._kept[run] = plan
        while len(self._kept) > PLANS_KEPT:
            self._kept.popitem(last=False)
        return plan

    async def _stored(self, run: str) -> bytes:
        try:
            return await self._storage.get(plan_key(run))
        except NotStored as error:
            raise PlanLost(f"{run}: its plan is neither in Redis nor in storage") from error
