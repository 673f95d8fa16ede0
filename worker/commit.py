"""From a finished call to its one committed result. Owns the order of the writes.

Recording and `call.json` go to object storage first, under the attempt's own key; then Redis
compares the attempt and takes the result, or refuses it because another attempt has the call; the
`winner` marker follows. Whatever crashes between two writes, at most one attempt is ever the
result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import structlog
from redis.asyncio import Redis

from shared import metrics
from shared.call import REASONS, EndedReason, Owner, Step, Validity, Verdict
from shared.errors import StateError, StorageError
from shared.result import CallResult, StepRecord, Winner
from shared.state.calls import CallKey, Outcome, commit, hand_back
from shared.storage import Storage
from shared.storage_keys import call_key, recording_key, winner_key
from shared.summary import summary_of
from worker.media.clock import now_ns

UPLOAD_TRIES = 3
UPLOAD_PAUSE_S = 0.5
STATE_TRIES = 8
STATE_PAUSE_S = 2.0
CONTENT_TYPES = {"opus": "audio/ogg", "wav": "audio/wav", "flac": "audio/flac"}

log = structlog.get_logger()


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that is over: its result and, where there is one, its recording on local disk."""

    result: CallResult
    recording: Path | None = None


class Ledger:
    """Writes results where they belong."""

    def __init__(self, redis: Redis, storage: Storage) -> None:
        self._redis = redis
        self._storage = storage

    async def settle(self, key: CallKey, finished: Finished) -> bool:
        """Commit the attempt, or hand the call back to be tried again.

        True: this attempt is the call's result. False: another attempt is, or will be. Raises
        `StateError` when Redis stays away; the lease then runs out and the reaper decides.
        """
        result = finished.result
        if _deserves_retry(result) and await self._handed_back(key, result.ended_reason):
            log.info("call_handed_back", reason=result.ended_reason.value)
            return False
        result = await self._upload(key, finished)
        if result.ended_reason is EndedReason.STORAGE_FAILED and await self._handed_back(
            key, result.ended_reason
        ):
            return False
        outcome = _outcome(result)
        if not await self._asked(lambda: commit(self._redis, key, outcome)):
            log.warning("commit_fenced_off")
            return False
        await self._mark_winner(key)
        return True

    async def _handed_back(self, key: CallKey, reason: EndedReason) -> bool:
        counts = reason is not EndedReason.DRAINED
        return await self._asked(lambda: hand_back(self._redis, key, reason, counts=counts))

    async def _asked(self, ask: Callable[[], Awaitable[bool]]) -> bool:
        """Outlast a short absence of Redis: the call is over, only its word is missing.

        Past the lease another attempt may have begun, and the script says so.
        """
        for _ in range(STATE_TRIES - 1):
            try:
                return await ask()
            except StateError as error:
                log.warning("settling_put_off", error=str(error))
            await asyncio.sleep(STATE_PAUSE_S)
        return await ask()

    async def _upload(self, key: CallKey, finished: Finished) -> CallResult:
        """Put recording and call.json; on failure the result says so instead of being lost."""
        result, began_ns = finished.result, now_ns()
        try:
            if finished.recording is not None and result.recording is not None:
                kind = result.recording.format
                await self._put(
                    recording_key(key.run, key.index, key.attempt, kind),
                    finished.recording,
                    CONTENT_TYPES[kind],
                    result.recording.bytes,
                )
            result = _with_upload(result, began_ns)
            row = msgspec.json.encode(result)
            place = call_key(key.run, key.index, key.attempt)
            await self._put(place, row, "application/json", len(row))
        except StorageError as error:
            log.error("upload_failed", error=str(error))  # noqa: TRY400 - expected, no trace wanted
            return _without_storage(_with_upload(finished.result, began_ns, str(error)))
        return result

    async def _put(self, key: str, data: bytes | Path, content_type: str, size: int) -> None:
        for attempt in range(1, UPLOAD_TRIES + 1):
            try:
                await self._storage.put(key, data, content_type)
            except StorageError:
                metrics.upload_failed()
                if attempt == UPLOAD_TRIES:
                    raise
                await asyncio.sleep(UPLOAD_PAUSE_S * attempt)
            else:
                metrics.uploaded(size)
                return

    async def _mark_winner(self, key: CallKey) -> None:
        marker = msgspec.json.encode(Winner(attempt=key.attempt))
        try:
            place = winner_key(key.run, key.index)
            await self._put(place, marker, "application/json", len(marker))
        except StorageError as error:  # the commit stands; closing finds the attempt without it
            log.warning("winner_marker_failed", error=str(error))


def _deserves_retry(result: CallResult) -> bool:
    facts = REASONS[result.ended_reason]
    if facts.owner is Owner.FLEET:
        return facts.retryable
    # A call that our own lateness spoiled is ours to repeat.
    return facts.owner is not Owner.CONFIG and result.validity is Validity.VOID


def _with_upload(result: CallResult, began_ns: int, failure: str | None = None) -> CallResult:
    """The result with the step of its own upload, which began when the last one ended."""
    step = StepRecord(
        name=Step.UPLOAD,
        started_ms=max((step.started_ms + step.took_ms for step in result.steps), default=0.0),
        took_ms=(now_ns() - began_ns) / 1e6,
        outcome="ok" if failure is None else "failed",
        detail=failure,
    )
    return msgspec.structs.replace(result, steps=[*result.steps, step])


def _without_storage(result: CallResult) -> CallResult:
    reason = EndedReason.STORAGE_FAILED
    return msgspec.structs.replace(
        result,
        ended_reason=reason,
        failure_owner=Owner.FLEET,
        failed_step=Step.UPLOAD,
        validity=Validity.VOID,
        verdict=Verdict.NONE,
        detail=REASONS[reason].sentence,
        recording=None,
        void_reasons=[f"{reason}: {REASONS[reason].sentence}", *result.void_reasons],
    )


def _outcome(result: CallResult) -> Outcome:
    return Outcome(
        verdict=result.verdict,
        validity=result.validity,
        ended_reason=result.ended_reason,
        failure_owner=result.failure_owner,
        duration_ms=result.duration_ms,
        summary=msgspec.json.encode(summary_of(result)),
    )
