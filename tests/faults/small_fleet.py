"""A whole fleet of real processes for short calls: Valkey, a scheduler, workers, their logs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis

from shared.result import CallResult
from shared.state.redis import ask, connect
from shared.state.runs import read_run
from shared.state.submissions import Refused, answer, submit
from shared.storage import Storage
from shared.storage_keys import call_key, rows_key
from tests.conftest import eventually
from tests.integration.state.conftest import valkey

ROOT = Path(__file__).parents[2]


class SmallFleet:
    """Owns its processes; everything it writes lies under `folder`."""

    def __init__(
        self, folder: Path, environ: Mapping[str, str], lease_s: float, clips: Path | None
    ) -> None:
        self.folder = folder
        self.lease_s = lease_s
        self.storage = Storage.open(f"file://{folder}/results")
        self.results = folder / "results"
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.results.mkdir(exist_ok=True)
        if clips is not None:
            (self.data / "clips").symlink_to(clips)
        self.log = folder / "log.txt"
        self._given = dict(environ)
        self._stack = contextlib.ExitStack()
        # A socket's path is short, and pytest's folders are deep.
        self.home = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        self._processes: list[subprocess.Popen[bytes]] = []
        self.worker: subprocess.Popen[bytes]
        self.redis: Redis
        self.valkey: subprocess.Popen[bytes]

    def start(self) -> None:
        """Valkey first, then what stands on it."""
        self.start_valkey()
        self.start_process("scheduler.main")
        self.start_worker()

    def start_valkey(self) -> None:
        """Also again after a kill: it reads its append-only file."""
        self.url, self.valkey = self._stack.enter_context(valkey(self.home))

    def start_worker(self) -> None:
        """A media process with its studio."""
        self.worker = self.start_process("worker.main")

    def start_process(self, module: str) -> subprocess.Popen[bytes]:
        """One of the fleet's programs, its words in `log`."""
        environ = {
            "PATH": os.environ["PATH"],
            "PHONEBANK_REDIS_URL": self.url,
            "PHONEBANK_STORAGE_URL": f"file://{self.results}",
            "PHONEBANK_DATA_DIR": str(self.data),
            "PHONEBANK_LEASE_S": f"{self.lease_s:g}",
            "PHONEBANK_SLOTS": "60",
            "PHONEBANK_DRAIN_S": "0",
            "PHONEBANK_WORKER_NAME": f"{module}-{len(self._processes)}",
            **self._given,
        }
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module], cwd=ROOT, env=environ, stdout=log, stderr=log
            )
        self._processes.append(process)
        return process

    def spool_of(self, run: str, attempt: int = 1) -> Path:
        """Where the first worker keeps the first call of a run while it lasts."""
        return self.data / "spool" / "worker.main-1" / f"{run}:0:{attempt}"

    def studio(self) -> int | None:
        """The process id of the worker's studio."""
        children = Path(f"/proc/{self.worker.pid}/task/{self.worker.pid}/children")
        for pid in children.read_text().split() if children.exists() else []:
            with contextlib.suppress(OSError):
                if b"worker.studio" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return int(pid)
        return None

    def kill_studio(self) -> bool:
        """SIGKILL to the studio, if there is one now."""
        studio = self.studio()
        if studio is not None:
            os.kill(studio, signal.SIGKILL)
        return studio is not None

    async def run(self, name: str, plan: Mapping[str, Any]) -> str:
        """Hand a plan over; the run's id."""
        await submit(self.redis, msgspec.json.encode(plan), name)
        said: Any = None

        async def answered() -> bool:
            nonlocal said
            said = await answer(self.redis, name)
            return said is not None

        await eventually(answered, f"an answer for {name}", 60)
        assert not isinstance(said, Refused), said
        run: str = said.run
        return run

    async def running(self, run: str) -> None:
        """Wait until the run's call talks, shown by a spool that is written to."""
        spools = self.data / "spool"

        def talks() -> bool:
            found = spools.glob(f"*/{run}:*/packets.spool")
            return any(path.stat().st_size > 1000 for path in found)

        await eventually(talks, f"{run} talks", 90)

    async def row(self, run: str) -> CallResult:
        """The run's first call, once the run is over."""

        async def over() -> bool:
            status = await read_run(self.redis, run)
            return status is not None and status.over

        await eventually(over, f"the end of {run}; see {self.log}", 100)
        decode = msgspec.json.Decoder(CallResult).decode
        if await self.storage.exists(rows_key(run)):
            return decode((await self.storage.get(rows_key(run))).splitlines()[0])
        return decode(await self.storage.get(call_key(run, 0, 1)))

    async def stop(self) -> None:
        """End every process; the log stays."""
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            try:
                await asyncio.to_thread(process.wait, 15)
            except subprocess.TimeoutExpired:
                process.kill()
        await self.redis.aclose()
        self._stack.close()


@contextlib.asynccontextmanager
async def small_fleet(
    folder: Path,
    environ: Mapping[str, str] | None = None,
    *,
    lease_s: float = 10.0,
    clips: Path | None = None,
) -> AsyncIterator[SmallFleet]:
    """A fleet for the time of the block; `clips` is a cache that several fleets share."""
    fleet = SmallFleet(folder, environ or {}, lease_s, clips)
    await asyncio.to_thread(fleet.start)
    fleet.redis = connect(fleet.url)
    try:
        yield fleet
    finally:
        await fleet.stop()


async def everything_in(redis: Redis) -> bytes:
    """All keys of a Redis and all that they hold, as bytes to be searched."""
    found = []
    for key in await ask(redis, "KEYS", "*"):
        kind = (await ask(redis, "TYPE", key)).decode()
        command = {
            "string": ("GET", key),
            "hash": ("HGETALL", key),
            "list": ("LRANGE", key, 0, -1),
            "set": ("SMEMBERS", key),
            "zset": ("ZRANGE", key, 0, -1),
            "stream": ("XRANGE", key, "-", "+"),
        }[kind]
        found += [repr(key), repr(await ask(redis, *command))]
    return "\n".join(found).encode()
