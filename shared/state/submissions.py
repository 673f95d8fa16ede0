"""The open door: plans come in over one stream and are answered at one key each.

Wire, for any language: `XADD phonebank:submissions * submission <id> plan <JSON or YAML text>` with
optional `key <idempotency key>` and `submitted_by <free text>`; then `GET
phonebank:answer:<submission>` until there is JSON, `{"accepted": {"run": ...}}` or `{"refused":
{"path", "line", "message", "right"}}`. The answer lives an hour.
"""

from __future__ import annotations

import hashlib

import msgspec
from redis.asyncio import Redis

from shared.errors import StateError
from shared.state.keys import ANSWER, SUBMISSIONS
from shared.state.redis import BLOCK_LIMIT_MS, ask

GROUP = "intake"
LONGEST_ID = 200


class Accepted(msgspec.Struct, frozen=True):
    """The plan became this run, or was this run already."""

    run: str


class Refused(msgspec.Struct, frozen=True):
    """The plan is wrong at `path`; `right` says what would have been accepted."""

    path: str
    line: int | None
    message: str
    right: str | None


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    accepted: Accepted | None = None
    refused: Refused | None = None


class Submission(msgspec.Struct, frozen=True):
    """One entry of the stream, as found: nothing in it has been checked."""

    entry: str
    fields: dict[str, bytes]


def run_id(submission: str, idempotency_key: str | None) -> str:
    """The run of a submission: by the idempotency key if given, so a key twice is one run."""
    source = f"key:{idempotency_key}" if idempotency_key else f"submission:{submission}"
    return f"run-{hashlib.sha256(source.encode()).hexdigest()[:16]}"


async def submit(
    redis: Redis,
    plan_json: bytes,
    submission: str,
    idempotency_key: str | None = None,
    *,
    submitted_by: str = "",
) -> str:
    """Hand a plan over; `submission` is a fresh id of the sender's making (at most 200 letters).

    Returns the stream's name of the entry, for `withdraw`.
    """
    fields: dict[str, str | bytes] = {"submission": submission, "plan": plan_json}
    if idempotency_key:
        fields["key"] = idempotency_key
    if submitted_by:
        fields["submitted_by"] = submitted_by
    pairs = [part for pair in fields.items() for part in pair]
    entry: bytes = await ask(redis, "XADD", SUBMISSIONS.at(), "*", *pairs)
    return entry.decode()


async def answer(redis: Redis, submission: str) -> Accepted | Refused | None:
    """What became of a submission; None while it has not been looked at."""
    text = await ask(redis, "GET", ANSWER.at(submission))
    if text is None:
        return None
    try:
        found = msgspec.json.decode(text, type=_Answer)
    except msgspec.DecodeError as error:
        raise StateError(f"the answer to submission {submission} is no answer: {error}") from error
    return found.accepted or found.refused


async def give_answer(redis: Redis, submission: str, said: Accepted | Refused) -> None:
    """Leave the answer for an hour."""
    whole = _Answer(accepted=said) if isinstance(said, Accepted) else _Answer(refused=said)
    text = msgspec.json.encode(whole)
    await ask(redis, "SET", ANSWER.at(submission), text, "EX", ANSWER.life_s or 0)


async def open_stream(redis: Redis) -> None:
    """Create the stream's consumer group; nothing if it is there."""
    try:
        await ask(redis, "XGROUP", "CREATE", SUBMISSIONS.at(), GROUP, "0", "MKSTREAM")
    except StateError as error:
        if "BUSYGROUP" not in str(error):
            raise


async def take(
    redis: Redis, consumer: str, *, limit: int, block_ms: int, abandoned_ms: int
) -> list[Submission]:
    """Submissions for this consumer: first those another took `abandoned_ms` ago and left."""
    left = await ask(
        redis, "XAUTOCLAIM", SUBMISSIONS.at(), GROUP, consumer, abandoned_ms, "0", "COUNT", limit
    )
    if left and left[1]:
        return [_submission(entry) for entry in left[1]]
    wait: list[str | int] = ["BLOCK", min(block_ms, BLOCK_LIMIT_MS)] if block_ms > 0 else []
    name = SUBMISSIONS.at()
    new = await ask(
        redis, "XREADGROUP", "GROUP", GROUP, consumer, "COUNT", limit, *wait, "STREAMS", name, ">"
    )
    return [_submission(entry) for entry in new[0][1]] if new else []


async def put_away(redis: Redis, submission: Submission) -> None:
    """Take an answered entry out of the stream."""
    await withdraw(redis, submission.entry)


async def withdraw(redis: Redis, entry: str) -> None:
    """Take an entry back, so that no scheduler reads it later; one that reads it now goes on."""
    await ask(redis, "XACK", SUBMISSIONS.at(), GROUP, entry)
    await ask(redis, "XDEL", SUBMISSIONS.at(), entry)


def _submission(entry: tuple[bytes, dict[bytes, bytes]]) -> Submission:
    name, fields = entry
    texts = {key.decode(errors="replace"): value for key, value in fields.items()}
    return Submission(name.decode(), texts)
