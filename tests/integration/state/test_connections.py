"""A connection that is told to stop stops, and one that is not answered does not hang."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from shared.errors import StateError
from shared.state import connections
from shared.state.redis import ask, connect


async def test_a_cancellation_at_any_moment_is_heard(redis: Redis) -> None:
    """A loop over Redis ends when cancelled, wherever in a command it is just then."""

    async def busy() -> None:
        while True:
            await ask(redis, "GET", "phonebank:vtime")

    for turns in range(150):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(busy())
            for _ in range(turns % 50):
                await asyncio.sleep(0)
            task.cancel()
            _, pending = await asyncio.wait([task], timeout=5)
            assert not pending, f"cancelled after {turns % 50} turns of the loop and still running"


async def test_a_server_that_takes_and_never_answers_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that swallows packets looks like this."""
    monkeypatch.setattr(connections, "ANSWER_TIMEOUT_S", 0.05)
    ended = asyncio.Event()

    async def swallow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_unix_server(swallow, tmp_path / "s")
    client = connect(f"unix://{tmp_path}/s")
    with pytest.raises(StateError):
        await asyncio.wait_for(ask(client, "PING"), 20)
    ended.set()
    await client.aclose()
    server.close()
