"""Where admitted calls become running calls: the arq worker of one media process.

Owns the way of one job: claim, hold the call on a lease, settle its result. arq only carries three
numbers; who may run what, and which result counts, is decided by the scripts in `shared.state`.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import OrderedDict
from datetime import UTC, datetime

import structlog
from redis.asyncio import Redis

from shared import metrics
from shared.call import REASONS, CallStage, EndedReason, Step, Validity, Verdict
from shared.errors import PlanError, StateError
from shared.expansion import call_of_index
from shared.logs import bound_call
from shared.plan import RunPlan
from shared.plan_text import read_plan
from shared.result import CallResult, Instrument
from shared.state.calls import CallKey, claim
from shared.state.queue import SwitchboardWorker
from shared.state.runs import plan_text
from worker.call import Call, Equipment
from worker.capacity import Capacity
from worker.commit import Finished, Ledger
from worker.leases import Leases
from worker.media.clock import now_ns

PLANS_KEPT = 16
WRAP_UP_S = 1200.0
"""Beyond `limits.call_s`, for clips, connecting, recording, upload and commit, each of which has
limits of its own: whoever takes longer hangs."""
LONGEST_CALL_S = 3600.0

log = structlog.get_logger()


class Switchboard:
    """Takes calls from the queue while `Capacity` has room, and drains on request."""

    def __init__(
        self,
        redis: Redis,
        equipment: Equipment,
        leases: Leases,
        capacity: Capacity,
        ledger: Ledger,
    ) -> None:
        self._redis = redis
        self._equipment = equipment
        self._leases = leases
        self._capacity = capacity
        self._ledger = ledger
        self._calls: dict[CallKey, Call] = {}
        self._plans: OrderedDict[str, RunPlan] = OrderedDict()
        self._is_polling = asyncio.Lock()
        self._hangs_up = False
        self._queue = SwitchboardWorker(
            redis,
            self._take,
            max_jobs=capacity.slots,
            job_timeout_s=LONGEST_CALL_S + WRAP_UP_S,
            gate=lambda: capacity.has_room,
        )

    async def serve(self) -> None:
        """Take calls until drained or cancelled; survives a Redis that goes away."""
        async with self._is_polling:
            await self._queue.run_loop()

    async def drain(self, wait_s: float) -> None:
        """Take no new calls, wait for those under way, then hang up and hand back the rest."""
        self._queue.stop()
        try:
            await self._leases.stop_offering()
        except StateError as error:
            log.warning("withdrawal_failed", error=str(error))
        try:
            async with asyncio.timeout(wait_s):
                await self._jobs_ended()
        except TimeoutError:
            self._hangs_up = True  # also for those that are only being claimed
            for call in self._calls.values():
                _drain(call)
            await self._jobs_ended()

    async def _jobs_ended(self) -> None:
        """The poll under way may still take a job: first that ends, then the jobs."""
        async with self._is_polling:
            await self._queue.wait_for_jobs()

    async def _take(self, key: CallKey, admitted_ms: int) -> None:
        """One arq job: one attempt. Returns normally whatever happens; the lease tells the rest."""
        metrics.call_waited(max(0.0, time.time() - admitted_ms / 1000))
        with bound_call(key.run, key.index, key.attempt):
            self._capacity.joined()
            try:
                await self._hold(key)
            except StateError as error:  # the lease runs out and the reaper decides
                log.warning("call_left_to_the_reaper", error=str(error))
            finally:
                self._capacity.left()

    async def _hold(self, key: CallKey) -> None:
        asked_ns = now_ns()
        claimed = await claim(
            self._redis, key, self._equipment.worker, lease_ms=self._leases.lease_ms
        )
        if claimed is None:
            log.info("call_not_ours")
            return
        try:
            plan = await self._plan_of(key.run)
        except PlanError as error:  # intake read it once, so an older worker meets a newer plan
            log.error("plan_unreadable", error=str(error))  # noqa: TRY400 - no trace wanted
            await self._ledger.settle(key, _unreadable(key, self._equipment, error))
            return
        if plan is None:
            return
        metrics.call_started(self._capacity.running)
        call = Call(plan, call_of_index(plan, key.index), key, self._equipment)
        self._calls[key] = call
        if self._hangs_up:
            _drain(call)
        try:
            with self._leases.held(key, call, asked_ns):
                finished = await call.run(claimed.earlier_attempts)
                try:
                    await self._ledger.settle(key, finished)
                finally:
                    metrics.call_ended(finished.result, self._capacity.running - 1)
        finally:
            del self._calls[key]
            await asyncio.to_thread(shutil.rmtree, call.folder, ignore_errors=True)

    async def _plan_of(self, run: str) -> RunPlan | None:
        """The run's plan, which never changes. Read in a thread: big ones would stop the loop."""
        plan = self._plans.get(run)
        if plan is None:
            text = await plan_text(self._redis, run)
            if text is None:
                log.warning("run_has_no_plan")
                return None
            plan = self._plans[run] = await asyncio.to_thread(read_plan, text)
        self._plans.move_to_end(run)
        while len(self._plans) > PLANS_KEPT:
            self._plans.popitem(last=False)
        return plan


def _drain(call: Call) -> None:
    call.hang_up(EndedReason.DRAINED, "the worker was told to stop")


def _unreadable(key: CallKey, equipment: Equipment, error: PlanError) -> Finished:
    """The result of a call of which only the place in its run is known."""
    reason = EndedReason.PLAN_INVALID
    return Finished(
        result=CallResult(
            run=key.run,
            index=key.index,
            attempt=key.attempt,
            seed=0,
            agent="",
            scenario="",
            persona="",
            repetition=0,
            stage=CallStage.CONNECTING,
            ended_reason=reason,
            failure_owner=REASONS[reason].owner,
            failed_step=Step.CONFIG,
            validity=Validity.VOID,
            verdict=Verdict.NONE,
            detail=str(error)[:300],
            void_reasons=[f"{reason}: {REASONS[reason].sentence}"],
            started_at=datetime.now(UTC).isoformat(),
            instrument=Instrument(worker=equipment.worker),
        ),
    )
