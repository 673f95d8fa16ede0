"""Connections with time limits that can be cancelled. Owns what redis-py 5.3 gets wrong there.

With a `socket_timeout` redis-py sends through `asyncio.wait_for`, which before Python 3.12 loses a
cancellation that arrives as the send completes (python/cpython#86296): a loop told to stop would
run on. So redis-py is given no `socket_timeout`, and the limit is kept here by `asyncio.timeout`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio.connection import (
    AbstractConnection,
    BlockingConnectionPool,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

ANSWER_TIMEOUT_S = 5.0


class _Limited(AbstractConnection):
    """Sending and reading end after `ANSWER_TIMEOUT_S` with redis-py's own TimeoutError."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002, RUF100 - redis-py's signature
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await super().send_packed_command(command, check_health)
        except TimeoutError:
            raise RedisTimeoutError("Redis took no command in time") from None

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await super().read_response(*arguments, **options)
        except TimeoutError:
            raise RedisTimeoutError("Redis gave no answer in time") from None


class _Tcp(_Limited, Connection):
    pass


class _Tls(_Limited, SSLConnection):
    pass


class _Unix(_Limited, UnixDomainSocketConnection):
    pass


_KINDS: dict[type[AbstractConnection], type[AbstractConnection]] = {
    SSLConnection: _Tls,
    UnixDomainSocketConnection: _Unix,
}


def pool_of(url: str, **options: Any) -> BlockingConnectionPool:
    """A pool for the URL; its query options count over `options`. Raises ValueError."""
    chosen: dict[str, Any] = {**options, **parse_url(url)}
    kind = _KINDS.get(chosen.pop("connection_class", Connection), _Tcp)
    if kind is not _Unix:
        chosen.setdefault("socket_keepalive", True)
    return BlockingConnectionPool(connection_class=kind, **chosen)
