"""The connection to Redis. Owns pool, time limits and the turning of its errors into StateError.

Refuses to know keys or scripts.
"""

from __future__ import annotations

from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.errors import CommandError, StateError
from shared.state.connections import ANSWER_TIMEOUT_S, pool_of
from shared.state.queue import queue_client

CONNECT_TIMEOUT_S = 2.0
BLOCK_LIMIT_MS = 2000
"""Longest blocking read: well under the answer's time limit."""
SCHEMES = ("redis://", "rediss://", "unix://")

OUTAGE = (RedisError, OSError, TimeoutError)
"""What Redis being away looks like."""


def connect(url: str, *, max_connections: int = 32) -> Redis:
    """A client for `redis://`, `rediss://` or `unix:///path` URLs; connects at the first command.

    Every command has a time limit, so a network that swallows packets is an error and not a hang,
    and is tried again three times within about a second. Scripts bear being sent twice. Close with
    `await client.aclose()`. Raises `CommandError` for a URL of another kind.
    """
    if not url.startswith(SCHEMES):
        # The URL is not printed: it may hold a password.
        raise CommandError(f"PHONEBANK_REDIS_URL: expected a URL with {', '.join(SCHEMES)}")
    try:
        pool = pool_of(
            url,
            max_connections=max_connections,
            timeout=ANSWER_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            health_check_interval=15,
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), 3),
            retry_on_error=[RedisConnectionError, RedisTimeoutError],
        )
    except ValueError:
        # Its words are not passed on: it quotes what it takes for a port, often a password's start.
        right = "a URL in which a password's special characters are percent-encoded"
        raise CommandError(f"PHONEBANK_REDIS_URL cannot be read: expected {right}") from None
    return queue_client(pool)


async def ask(redis: Redis, *command: str | bytes | float) -> Any:
    """Send one plain command and give its answer as redis-py shapes it; raises `StateError`."""
    try:
        return await cast("Any", redis).execute_command(*command)
    except OUTAGE as error:
        raise StateError(f"Redis did not carry out {command[0]!s}: {error}") from error
