"""Intake: the one way in. Validates a submission, stores plan and run record, starts the run.

Owns the answer: each submission with an id gets an acceptance or a refusal with path and reason.
Safe to run twice at the same time and over the same entry: the run's id comes from the submission.
"""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime

import msgspec
import structlog
from redis.asyncio import Redis

from shared import metrics
from shared.call import RunState, Verdict
from shared.errors import FleetError, PlanError
from shared.expansion import EXPANSION_VERSION
from shared.plan import RunPlan
from shared.plan_text import read_plan, surface
from shared.result import RunCounts, RunResult
from shared.state.runs import RunRecord, plan_text, read_run, start_run
from shared.state.submissions import (
    LONGEST_ID,
    Accepted,
    Refused,
    Submission,
    give_answer,
    open_stream,
    put_away,
    run_id,
    take,
)
from shared.storage import NotStored, Storage
from shared.storage_keys import plan_key, run_key

FIELDS = frozenset({"submission", "plan", "key", "submitted_by"})
AT_ONCE = 10
WAIT_MS = 1000
ABANDONED_MS = 15_000
"""A submission that another scheduler took so long ago and did not answer is taken over."""

log = structlog.get_logger()


class Intake:
    """Answers submissions in the order they came. `name` tells this scheduler from others."""

    def __init__(
        self, redis: Redis, storage: Storage, name: str, *, abandoned_ms: int = ABANDONED_MS
    ) -> None:
        self._redis = redis
        self._storage = storage
        self._name = name
        self._abandoned_ms = abandoned_ms

    async def once(self, *, wait_ms: int = WAIT_MS) -> int:
        """Answer what there is, waiting a moment for it; how many submissions that were.

        Raises `FleetError` when Redis or storage fail; the entry is then answered later.
        """
        await open_stream(self._redis)
        found = await take(
            self._redis,
            self._name,
            limit=AT_ONCE,
            block_ms=wait_ms,
            abandoned_ms=self._abandoned_ms,
        )
        for submission in found:
            await self._settle(submission)
        return len(found)

    async def _settle(self, submission: Submission) -> None:
        name = submission.fields.get("submission", b"").decode(errors="replace")
        if 0 < len(name) <= LONGEST_ID:
            said = await self._answer(submission, name)
            await give_answer(self._redis, name, said)
            outcome = "accepted" if isinstance(said, Accepted) else "refused"
            metrics.submission_answered(outcome)
            log.info("submission_answered", submission=name, outcome=outcome)
        else:
            log.warning("submission_without_id", entry=submission.entry)
        await put_away(self._redis, submission)

    async def _answer(self, submission: Submission, name: str) -> Accepted | Refused:
        try:
            plan, text = await asyncio.to_thread(_read, _plan_of(submission))
        except PlanError as error:
            return Refused(error.path, error.line, error.message, error.right)
        except FleetError:
            raise
        except Exception:
            log.exception("plan_reading_failed", submission=name)
            return Refused("$", None, "phonebank made a mistake while reading this plan", None)
        key = submission.fields.get("key", b"").decode(errors="replace")
        run = run_id(name, key or None)
        by = submission.fields.get("submitted_by", b"").decode(errors="replace")[:LONGEST_ID]
        await self._start(run, plan, text, by)
        return Accepted(run)

    async def _start(self, run: str, plan: RunPlan, text: bytes, submitted_by: str) -> None:
        if await read_run(self._redis, run) is not None or await self._is_over(run):
            return
        record = RunRecord(
            name=plan.name,
            submitted_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            submitted_by=submitted_by,
            plan_sha256=hashlib.sha256(text).hexdigest(),
        )
        await self._storage.put(plan_key(run), text, "application/json")
        result = msgspec.json.encode(_begun(run, plan, record))
        await self._storage.put(run_key(run), result, "application/json")
        if not await start_run(self._redis, run, plan, text, record):
            # Another scheduler was faster, perhaps with another plan under the same key.
            first = await plan_text(self._redis, run)
            await self._storage.put(plan_key(run), first or text, "application/json")

    async def _is_over(self, run: str) -> bool:
        """Whether a run that Redis forgot ended long ago: the same key is still the same run."""
        try:
            stored = await self._storage.get(run_key(run))
        except NotStored:
            return False
        try:
            state = msgspec.json.decode(stored, type=RunResult).state
        except msgspec.DecodeError:  # of another version: it was a run, and its results stay
            return True
        return state in (RunState.FINISHED, RunState.CANCELLED)


def _plan_of(submission: Submission) -> bytes:
    """The plan as it was written."""
    odd = sorted(set(submission.fields) - FIELDS)
    if odd:
        right = f"only {', '.join(sorted(FIELDS))}"
        raise PlanError(f"unknown field {odd[0]!r} in the submission", right=right)
    text = submission.fields.get("plan", b"")
    if not text:
        raise PlanError("the submission holds no plan", right="a field `plan` with the plan's text")
    return text


def _read(text: bytes) -> tuple[RunPlan, bytes]:
    """The plan, and its text as JSON: what a person wrote in YAML is turned into it."""
    plan = read_plan(text)
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return plan, msgspec.json.encode(dict(surface(text)))
    return plan, text


def _begun(run: str, plan: RunPlan, record: RunRecord) -> RunResult:
    return RunResult(
        run=run,
        name=plan.name,
        state=RunState.RUNNING,
        verdict=Verdict.NONE,
        why=["the run has not ended"],
        counts=RunCounts(planned=plan.call_count, missing=plan.call_count),
        labels=plan.labels,
        seed=plan.seed,
        expansion=EXPANSION_VERSION,
        plan_sha256=record.plan_sha256,
        submitted_at=record.submitted_at,
    )
