"""Runs in Redis: start, look, cancel, follow, close. Owns the run's counters and their reading.

The scheduler starts and closes runs; a front desk looks, follows and cancels. Storage holds the
durable record.
"""

from __future__ import annotations

from typing import Any

import msgspec
from redis.asyncio import Redis

from shared.call import RunState, Validity, Verdict
from shared.plan import RunPlan
from shared.state.call_key import CallKey
from shared.state.endpoints import endpoint_of
from shared.state.keys import CALL, CLOSING, EVENTS, HELD, LANES, PLAN, RUN, RUNS, RUNS_KEPT
from shared.state.redis import BLOCK_LIMIT_MS, ask
from shared.state.scripts import script


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is told at its start beside the plan; kept in its hash and given back as is."""

    name: str
    submitted_at: str = ""
    """UTC, ISO 8601."""
    submitted_by: str = ""
    plan_sha256: str = ""


class RunStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A run as Redis knows it now. `finished` and `cancelled` mean that its results are stored."""

    run: str
    state: RunState
    record: RunRecord
    cancelled: bool = False
    """Someone cancelled it; until its last calls have ended the state is `finishing`."""
    planned: int = 0
    waiting: int = 0
    admitted: int = 0
    """Handed to the workers and not claimed yet."""
    running: int = 0
    done: int = 0
    passed: int = 0
    failed: int = 0
    unjudged: int = 0
    void: int = 0
    retried: int = 0
    ended_reasons: dict[str, int] = {}
    failure_owners: dict[str, int] = {}
    verdict: Verdict | None = None
    submitted_ms: int = 0
    finished_ms: int | None = None

    @property
    def over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in (RunState.FINISHED, RunState.CANCELLED)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One call that ended, for progress. `id` is the `after` of the next asking."""

    id: str
    key: CallKey
    verdict: Verdict
    validity: Validity
    ended_reason: str
    summary: bytes


async def start_run(
    redis: Redis,
    run: str,
    plan: RunPlan,
    plan_text: bytes,
    record: RunRecord,
    *,
    weight: float = 1.0,
) -> bool:
    """Start a run; False when it was started before, whatever its plan was then.

    Costs memory by the number of agents, not of calls. `weight` is its share beside other runs.
    """
    lanes = [
        (endpoint_of(agent), agent.max_concurrent or 0, agent.calls_per_second or 0)
        for agent in plan.agents
    ]
    fields: dict[str, str | bytes | float] = {
        "concurrency": plan.load.concurrency,
        "retries": plan.limits.retries,
        "record": msgspec.json.encode(record),
    }
    pairs = [part for pair in fields.items() for part in pair]
    packed = msgspec.msgpack.encode(lanes)
    return bool(
        await script("start_run")(
            redis, run, plan_text, packed, plan.calls_per_lane, weight, RUNS_KEPT, *pairs
        )
    )


async def read_run(redis: Redis, run: str) -> RunStatus | None:
    """How a run stands; None when Redis does not know it (any more)."""
    raw = await ask(redis, "HGETALL", RUN.at(run))
    if not raw or b"record" not in raw:
        return None
    held = await ask(redis, "SCARD", HELD.at(run))
    return _status(run, {name.decode(): value for name, value in raw.items()}, held)


def _status(run: str, raw: dict[str, Any], held: int) -> RunStatus:
    counts = {
        name: int(raw.get(name, 0))
        for name in ("planned", "running", "done", "passed", "failed", "unjudged", "void")
    }
    return RunStatus(
        run=run,
        state=RunState(raw["state"].decode()),
        record=msgspec.json.decode(raw["record"], type=RunRecord),
        cancelled="cancelled" in raw,
        waiting=int(raw.get("left", 0)),
        admitted=max(held - counts["running"], 0),
        retried=int(raw.get("retried", 0)),
        ended_reasons=_counted(raw, "reason:"),
        failure_owners=_counted(raw, "owner:"),
        verdict=Verdict(raw["verdict"].decode()) if "verdict" in raw else None,
        submitted_ms=int(raw.get("submitted_ms", 0)),
        finished_ms=int(raw["finished_ms"]) if "finished_ms" in raw else None,
        **counts,
    )


def _counted(raw: dict[str, Any], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): int(value)
        for name, value in sorted(raw.items())
        if name.startswith(prefix)
    }


async def plan_text(redis: Redis, run: str) -> bytes | None:
    """The plan as it was submitted (JSON of the surface form)."""
    text: bytes | None = await ask(redis, "GET", PLAN.at(run))
    return text


async def cancel_run(redis: Redis, run: str) -> bool:
    """Stop a run at once, however many calls are left; False when it was not running."""
    return bool(await script("cancel_run")(redis, run))


async def list_runs(redis: Redis, *, limit: int = 100) -> list[RunStatus]:
    """The latest runs, newest first."""
    names = await ask(redis, "ZREVRANGE", RUNS.at(), 0, limit - 1)
    found = [await read_run(redis, name.decode()) for name in names]
    return [status for status in found if status is not None]


async def events(
    redis: Redis, run: str, after: str = "0", block_ms: int = 0, *, limit: int = 500
) -> list[Event]:
    """Calls that ended after event `after` ("0": from the start), oldest first.

    Waits up to `block_ms` (at most 2000) for the first. Only the latest 2000 or so are kept.
    """
    wait: list[str | int] = ["BLOCK", min(block_ms, BLOCK_LIMIT_MS)] if block_ms > 0 else []
    answer = await ask(redis, "XREAD", "COUNT", limit, *wait, "STREAMS", EVENTS.at(run), after)
    if not answer:
        return []
    return [_event(run, entry.decode(), fields) for entry, fields in answer[0][1]]


def _event(run: str, entry: str, fields: dict[bytes, bytes]) -> Event:
    return Event(
        id=entry,
        key=CallKey(run, int(fields[b"index"]), int(fields[b"attempt"])),
        verdict=Verdict(fields[b"verdict"].decode()),
        validity=Validity(fields[b"validity"].decode()),
        ended_reason=fields[b"reason"].decode(),
        summary=fields[b"summary"],
    )


async def take_closing(redis: Redis, *, hide_ms: int) -> str | None:
    """A run whose calls have all ended and that nobody else closes for `hide_ms`."""
    run = await script("take_closing")(redis, hide_ms)
    return None if run is None else run.decode()


async def put_off_closing(redis: Redis, run: str, due_ms: int) -> None:
    """Show the run to closers again at `due_ms` (Redis time)."""
    await ask(redis, "ZADD", CLOSING.at(), "XX", due_ms, run)


async def close_run(redis: Redis, run: str, state: RunState, verdict: Verdict) -> bool:
    """Say that the run's result is stored; False when it was closed before or is gone."""
    return bool(await script("close_run")(redis, run, state, verdict))


async def cursors(redis: Redis, run: str, lanes: int) -> list[int]:
    """How many calls of each lane were ever admitted."""
    names = [f"{lane}:cursor" for lane in range(lanes)]
    values = await ask(redis, "HMGET", LANES.at(run), *names)
    return [int(value or 0) for value in values]


async def committed_attempt(redis: Redis, run: str, index: int) -> int | None:
    """The attempt that was committed, as long as Redis remembers (an hour)."""
    attempt, state = await ask(redis, "HMGET", CALL.at(run, index), "attempt", "state")
    return int(attempt) if state == b"done" else None


async def committed_reason(redis: Redis, run: str, index: int) -> str | None:
    """The ended reason that was committed, as long as Redis remembers (an hour)."""
    reason = await ask(redis, "HGET", CALL.at(run, index), "reason")
    return None if reason is None else reason.decode()


async def redis_time_ms(redis: Redis) -> int:
    """What time Redis has, by which all leases and deadlines go."""
    seconds, micros = await ask(redis, "TIME")
    return int(seconds) * 1000 + int(micros) // 1000
