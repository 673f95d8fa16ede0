"""Closing: when a run's last call has ended, its rows become `calls.jsonl`, `run.json`, a verdict.

Owns the order: results to storage first, then Redis says that the run is over. Safe twice: the same
rows give the same files.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog
from redis.asyncio import Redis

from scheduler.plans import PlanLost, Plans
from scheduler.rows import Rows
from scheduler.verdict import Tally
from shared import metrics
from shared.call import RunState, Verdict
from shared.errors import FleetError
from shared.expansion import EXPANSION_VERSION
from shared.result import RunCounts, RunResult
from shared.state.runs import (
    RunStatus,
    close_run,
    put_off_closing,
    read_run,
    redis_time_ms,
    take_closing,
)
from shared.storage import Storage
from shared.storage_keys import rows_key, run_key

HIDE_MS = 20_000
"""So long a run that is being closed is hidden from other schedulers; extended while it lasts."""
EXTEND_EVERY_S = 5.0
PUT_OFF_MS = 2_000

log = structlog.get_logger()


class Closing:
    """Closes one run at a time."""

    def __init__(self, redis: Redis, storage: Storage, plans: Plans) -> None:
        self._redis = redis
        self._storage = storage
        self._plans = plans

    async def once(self) -> int:
        """Close a run if one is due; 1 if there was one. Raises `StateError` without Redis."""
        run = await take_closing(self._redis, hide_ms=HIDE_MS)
        if run is None:
            return 0
        try:
            await self._close(run)
        except (FleetError, OSError) as error:  # storage, Redis, or the disk under the rows
            log.warning("closing_put_off", run=run, error=str(error))
            with contextlib.suppress(FleetError):
                now_ms = await redis_time_ms(self._redis)
                await put_off_closing(self._redis, run, now_ms + PUT_OFF_MS)
        return 1

    async def _close(self, run: str) -> None:
        status = await read_run(self._redis, run)
        if status is None or status.over:
            # Redis lost it, or another scheduler closed it: nothing is left to be said.
            await close_run(self._redis, run, RunState.FINISHED, Verdict.NONE)
            return
        try:
            result = await self._write(status)
        except PlanLost as error:
            result = _unjudged(status, str(error))
        place = run_key(run)
        await self._storage.put(place, msgspec.json.encode(result), "application/json")
        if await close_run(self._redis, run, result.state, result.verdict):
            metrics.run_finished(result.verdict)
            log.info("run_finished", run=run, state=result.state, verdict=result.verdict)

    async def _write(self, status: RunStatus) -> RunResult:
        """Judge the run from its rows, and store them as `calls.jsonl`."""
        plan = await self._plans.get(status.run)
        tally = Tally(plan)
        rows = Rows(self._redis, self._storage, status.run, plan)
        extended_s = time.monotonic()
        with tempfile.NamedTemporaryFile(prefix="phonebank-", suffix=".jsonl") as file:
            async for batch in rows.read(cancelled=status.cancelled):
                for row in batch:
                    tally.add(row)
                    file.write(msgspec.json.encode(row) + b"\n")
                if time.monotonic() - extended_s > EXTEND_EVERY_S:
                    extended_s = time.monotonic()
                    now_ms = await redis_time_ms(self._redis)
                    await put_off_closing(self._redis, status.run, now_ms + HIDE_MS)
            file.flush()
            await self._storage.put(rows_key(status.run), Path(file.name), "application/x-ndjson")
        return tally.verdict(
            run=status.run,
            state=_end_state(status),
            plan_sha256=status.record.plan_sha256,
            submitted_at=status.record.submitted_at,
            finished_at=_now(),
            expansion=EXPANSION_VERSION,
        )


def _unjudged(status: RunStatus, why: str) -> RunResult:
    """What can be said of a run whose plan is lost, so that nobody waits for it."""
    return RunResult(
        run=status.run,
        name=status.record.name,
        state=_end_state(status),
        verdict=Verdict.NONE,
        why=[why],
        counts=RunCounts(planned=status.planned, missing=status.planned),
        plan_sha256=status.record.plan_sha256,
        submitted_at=status.record.submitted_at,
        finished_at=_now(),
    )


def _end_state(status: RunStatus) -> RunState:
    return RunState.CANCELLED if status.cancelled else RunState.FINISHED


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
