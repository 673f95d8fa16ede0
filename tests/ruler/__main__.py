"""The ruler's process: `python -m tests.ruler --journal FILE [--cores 1,2]`. Owns HTTP and start.

It prints `listening on http://127.0.0.1:PORT/api/offer` when it can be called, and ends on SIGTERM
or when its standard input closes. An offer carries its orders (`orders.py`) as `request_data`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import sys
import uuid
from pathlib import Path

import aioice.ice
import msgspec
from aiohttp import web

from tests.ruler.journal import Journal
from tests.ruler.orders import read_orders
from tests.ruler.session import Session
from tests.ruler.sounds import SPOKEN, silence, sound


class Ruler:
    """All calls of the process; `async with` owns them until they have ended."""

    def __init__(self, journal: Journal, tasks: asyncio.TaskGroup) -> None:
        self._journal = journal
        self._tasks = tasks
        self._sessions: set[Session] = set()

    async def offer(self, request: web.Request) -> web.Response:
        """An offer with orders; a call with an answer."""
        body = await request.json()
        try:
            session = Session(read_orders(body.get("request_data")), self._tasks)
            answer = await session.answer(body["sdp"])
        except (ValueError, KeyError, msgspec.ValidationError) as error:
            return web.json_response({"detail": str(error)}, status=400)
        self._sessions.add(session)
        self._tasks.create_task(self._hold(session))
        return web.json_response(
            {"sdp": answer, "type": "answer", "pc_id": f"ruler-{uuid.uuid4()}"}
        )

    async def _hold(self, session: Session) -> None:
        entry = await session.run()
        self._sessions.discard(session)
        if entry is not None:
            self._journal.write(entry)

    def leave(self) -> None:
        """End every call."""
        for session in self._sessions:
            session.leave()


async def serve(journal: Path) -> None:
    """Take calls until told to stop."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_reader(sys.stdin.fileno(), _read_or_stop, stop)
    # aioice never offers loopback by itself.
    aioice.ice.get_host_addresses = _loopback
    async with asyncio.TaskGroup() as tasks:
        ruler = Ruler(Journal(journal), tasks)
        app = web.Application()
        app.router.add_post("/api/offer", ruler.offer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        sys.stdout.write(f"listening on http://127.0.0.1:{port}/api/offer\n")
        sys.stdout.flush()
        await stop.wait()
        ruler.leave()
        await runner.cleanup()


def _loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    return ["127.0.0.1"]


def _read_or_stop(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def main() -> None:
    """Make all sounds, then serve."""
    parser = argparse.ArgumentParser(description="An agent with exactly known timing.")
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--cores", default="", help="CPUs to stay on, with commas")
    options = parser.parse_args()
    with contextlib.suppress(OSError):
        if options.cores:
            os.sched_setaffinity(0, {int(core) for core in options.cores.split(",")})
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    silence()
    for name in (*SPOKEN, "sharp", "soft", "click"):
        sound(name)
    gc.collect()
    gc.freeze()
    asyncio.run(serve(options.journal))


if __name__ == "__main__":
    main()
