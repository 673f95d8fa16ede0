"""A fleet within reach: its Redis and its storage, and what the command asks of them.

Owns submitting, following and cancelling a run from outside; refuses to show or judge anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable

import msgspec
import structlog
from redis.asyncio import Redis

from phonebank.plan_file import ReadyPlan, upload_assets
from shared.call import RunState
from shared.errors import CommandError, FleetError, PlanError, StateError, StorageError
from shared.result import RunResult
from shared.settings import Settings
from shared.state.redis import ask, connect
from shared.state.runs import RunStatus, cancel_run, events, read_run
from shared.state.submissions import Accepted, Refused, answer, submit, withdraw
from shared.storage import NotStored, Storage
from shared.storage_keys import run_key
from shared.summary import Summary

log = structlog.get_logger()

ANSWER_DEADLINE_S = 30.0
ANSWER_POLL_S = 0.05
EVENTS_BLOCK_MS = 250
LOST_SIGHT_S = 60.0
"""A run is followed through an outage of Redis of this length."""
STORING_S = 300.0
STORING_S_PER_CALL = 0.05
"""So long after its last call a run that has no results gets none: its storage takes nothing."""

_summary_decoder = msgspec.json.Decoder(Summary)


class Reach(msgspec.Struct, frozen=True):
    """Open connections to a fleet; `fleet_at` names it in sentences."""

    redis: Redis
    storage: Storage
    fleet_at: str


class Watcher(msgspec.Struct, frozen=True):
    """What a follower of a run is told."""

    status: Callable[[RunStatus], None]
    ended: Callable[[Summary], None]


@contextlib.asynccontextmanager
async def reach(redis_url: str, storage_url: str) -> AsyncIterator[Reach]:
    """Connections to the fleet for the time of the block. Raises `CommandError` or `FleetError`."""
    redis = connect(redis_url)
    fleet_at = without_password(redis_url)
    try:
        try:
            await ask(redis, "PING")
        except StateError as error:
            raise FleetError(f"the fleet at {fleet_at} cannot be reached: {error}") from None
        storage = Storage.open(storage_url)
        try:
            await storage.exists("runs")
        except StorageError as error:
            raise FleetError(f"the storage at {storage_url} cannot be used: {error}") from None
        yield Reach(redis, storage, fleet_at)
    finally:
        await redis.aclose()


def urls_of(settings: Settings) -> tuple[str, str]:
    """Redis and storage URL of a fleet that is there. Raises `CommandError` for one alone."""
    if settings.redis_url is None:
        raise CommandError("PHONEBANK_REDIS_URL is not set: there is no fleet to ask")
    if settings.storage_url is None:
        raise CommandError("PHONEBANK_STORAGE_URL is not set: name the storage of the fleet")
    return settings.redis_url, settings.storage_url


async def hand_over(to: Reach, ready: ReadyPlan, idempotency_key: str | None = None) -> str:
    """Submit the plan; returns the run's id.

    Raises `PlanError` when the fleet refuses the plan, `FleetError` when nothing answers; the plan
    is then taken back, so that it does not run when nobody waits for it any more.
    """
    await upload_assets(to.storage, ready.assets)
    submission = secrets.token_hex(16)
    entry = await submit(to.redis, ready.text, submission, idempotency_key)
    said: Accepted | Refused | None
    try:
        async with asyncio.timeout(ANSWER_DEADLINE_S):
            while (said := await answer(to.redis, submission)) is None:  # noqa: ASYNC110 - theirs
                await asyncio.sleep(ANSWER_POLL_S)
    except TimeoutError:
        await withdraw(to.redis, entry)
        said = await answer(to.redis, submission)
    match said:
        case None:
            raise FleetError(
                f"the fleet at {to.fleet_at} has not read the plan for {ANSWER_DEADLINE_S:g} s: "
                "no scheduler is running"
            )
        case Accepted(run=run):
            return run
        case Refused(path=path, message=message, right=right, line=line):
            raise PlanError(message, path=path, right=right, line=line)


async def follow(to: Reach, run: str, watcher: Watcher) -> None:
    """Tell `watcher` of the run until it has ended.

    An outage of Redis shorter than `LOST_SIGHT_S` is waited out. A run that ended so long ago that
    only storage remembers it (its idempotency key was given again) has ended. Raises `FleetError`,
    also for a run whose calls are done and whose results cannot be stored: a disk stays full.
    """
    loop = asyncio.get_running_loop()
    seen_at = loop.time()
    done_at: float | None = None
    after = "0"
    while True:
        try:
            status = await read_run(to.redis, run)
            if status is None and await _ended_long_ago(to.storage, run):
                return
            if status is None:
                raise FleetError(f"the fleet at {to.fleet_at} no longer knows the run {run}")
            for event in await events(to.redis, run, after, EVENTS_BLOCK_MS):
                after = event.id
                with contextlib.suppress(msgspec.MsgspecError):
                    watcher.ended(_summary_decoder.decode(event.summary))
        except StateError as error:
            if loop.time() - seen_at > LOST_SIGHT_S:
                raise
            log.debug("run_out_of_sight", run=run, error=str(error))
            await asyncio.sleep(1)
            continue
        seen_at = loop.time()
        watcher.status(status)
        if status.over:
            return
        if status.done < status.planned:
            continue
        done_at = done_at or seen_at
        waited_s = seen_at - done_at
        if waited_s > STORING_S + STORING_S_PER_CALL * status.planned:
            raise FleetError(
                f"all calls of {run} are done, and its results could not be stored for "
                f"{waited_s:.0f} s: is the storage full? The scheduler's log says more"
            )


async def _ended_long_ago(storage: Storage, run: str) -> bool:
    try:
        state = msgspec.json.decode(await storage.get(run_key(run)), type=RunResult).state
    except (NotStored, msgspec.DecodeError):
        return False
    return state in (RunState.FINISHED, RunState.CANCELLED)


async def cancel(to: Reach, run: str) -> bool:
    """Cancel the run; False when it had ended or is not known."""
    return await cancel_run(to.redis, run)


def without_password(url: str) -> str:
    """A URL that may be shown: without user, password and options, which may hold one too."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2].partition('?')[0]}"
