"""The way to the studio process. Owns its life and who waits for what; does none of its work.

A process that dies is started again, and the jobs it held are sent once more. What it was doing is
known but for the order in which jobs reached it: the first clip in line or the first call. One that
two processes died over fails, and so does one that took too long; those in line behind it wait on.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import structlog

from shared.errors import StudioError
from worker.media.clip import Clip
from worker.media.sound import SoundRequest
from worker.studio_jobs import (
    LENGTH_BYTES,
    MAX_MESSAGE_BYTES,
    Answer,
    Answered,
    Asked,
    Failed,
    FinishCall,
    Finished,
    Job,
    Made,
    MakeClip,
)

COMMAND = (sys.executable, "-m", "worker.studio")
JOB_LIMIT_S = 120.0
"""A job that takes longer takes the process with it. The wait in line does not count: a hundred
calls that end at once are no reason to kill the process that works them off."""
MAX_DEATHS = 2
RESTART_PAUSE_S = 0.5
ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
"""The studio sees these variables only: it has no use for a secret."""

log = structlog.get_logger()


class StudioDiskError(StudioError):
    """The studio lives, and its disk refused a file."""

    reason = "studio_disk"


class _Pending:
    """A job that somebody waits for."""

    def __init__(self, job: Job, message: bytes) -> None:
        self.kind = type(job)
        self.message = message
        self.asked_s = asyncio.get_running_loop().time()
        self.is_sent = False
        """To the process that lives now."""
        self.deaths = 0
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def fail(self, error: StudioError) -> None:
        """Whoever waits is told; nothing where it was told before."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Studio:
    """`async with Studio() as studio`: one process for as long as the block lasts."""

    def __init__(
        self, command: tuple[str, ...] = COMMAND, job_limit_s: float = JOB_LIMIT_S
    ) -> None:
        self._command = command
        self._job_limit_s = job_limit_s
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Answered).decode
        self._tasks = asyncio.TaskGroup()
        self._keeper: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._pending: dict[int, _Pending] = {}
        self._number = 0
        self._moved_s = 0.0
        """When the process last began, answered or ended."""
        self.restarts = 0
        """Processes that died and were replaced."""

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._keeper = self._tasks.create_task(self._keep(), name="studio")
        self._watcher = self._tasks.create_task(self._watch(), name="studio watch")
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        assert self._keeper is not None
        assert self._watcher is not None
        self._watcher.cancel()
        self._keeper.cancel()
        # Not told of the block's own error, which it would wrap into a group.
        await self._tasks.__aexit__(None, None, None)

    async def make_clip(
        self, request: SoundRequest, assets: Mapping[str, Path] | None = None
    ) -> Clip:
        """The clip of a request; `assets` has a file for each of `assets_of(request)`.

        Raises `StudioError`.
        """
        files = {name: str(path) for name, path in (assets or {}).items()}
        answer = await self._ask(MakeClip(request=request, assets=files))
        if not isinstance(answer, Made):
            raise StudioError(f"the studio answered a clip with {type(answer).__name__}")
        return answer.clip

    async def finish_call(self, job: FinishCall) -> Finished:
        """Recording and measures of a call; raises `StudioError`."""
        answer = await self._ask(job)
        if not isinstance(answer, Finished):
            raise StudioError(f"the studio answered a call with {type(answer).__name__}")
        return answer

    async def _ask(self, job: Job) -> Answer:
        if self._keeper is None or self._keeper.done():
            raise StudioError("the studio is closed")
        self._number += 1
        number = self._number
        message = self._encode(Asked(number, job))
        if len(message) > MAX_MESSAGE_BYTES:
            raise StudioError(f"a job of {len(message)} bytes is too large for the studio")
        pending = self._pending[number] = _Pending(job, message)
        try:
            if self._process is not None:
                self._send(self._process, pending)
            answer = await pending.answer
        finally:
            del self._pending[number]
        if isinstance(answer, Failed):
            raise (StudioDiskError if answer.disk else StudioError)(answer.message)
        return answer

    def _send(self, process: asyncio.subprocess.Process, pending: _Pending) -> None:
        # Not drained: jobs are small, and whoever sends them waits for the answer anyway.
        assert process.stdin is not None
        if process.stdin.is_closing():
            return  # dead or dying: the next process gets it
        pending.is_sent = True
        process.stdin.write(len(pending.message).to_bytes(LENGTH_BYTES, "big") + pending.message)

    def _under_way(self) -> list[_Pending]:
        """What the process may be doing: it takes clips first, and of each kind the oldest."""
        first: dict[type[Job], _Pending] = {}
        for pending in self._pending.values():
            if pending.is_sent and not pending.answer.done():
                first.setdefault(pending.kind, pending)
        return list(first.values())

    async def _watch(self) -> None:
        """Give up what takes too long, and the process with it."""
        while True:
            await asyncio.sleep(self._job_limit_s / 10)
            tried = self._pending.values() if self._process is None else self._under_way()
            oldest_s = asyncio.get_running_loop().time() - self._job_limit_s
            stuck = [each for each in tried if max(each.asked_s, self._moved_s) <= oldest_s]
            for pending in stuck:
                error = StudioError(f"a studio job took more than {self._job_limit_s:g} s")
                pending.fail(error)
            if stuck and self._process is not None and self._process.returncode is None:
                self._forget_sent()  # no job still waiting is to blame for this death
                self._process.kill()

    def _forget_sent(self) -> None:
        for pending in self._pending.values():
            pending.is_sent = False

    async def _keep(self) -> None:
        """Start processes, one after another, until cancelled."""
        try:
            while True:
                try:
                    await self._live_once()
                except OSError as error:  # no memory or process to be had: perhaps later
                    log.warning("studio_not_started", error=str(error))
                self.restarts += 1
                self._blame()
                log.warning("studio_died", restarts=self.restarts)
                await asyncio.sleep(RESTART_PAUSE_S)
        finally:
            for pending in self._pending.values():
                pending.fail(StudioError("the studio was closed"))

    async def _live_once(self) -> None:
        environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
        try:
            self._process = process
            self._move()
            for pending in self._pending.values():
                self._send(process, pending)
            await self._read(process)
        finally:
            self._process = None
            self._move()
            await _ended(process)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand out answers until the process ends or talks nonsense."""
        assert process.stdout is not None
        while True:
            try:
                size = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
                if size > MAX_MESSAGE_BYTES:
                    return
                answered = self._decode(await process.stdout.readexactly(size))
            except (asyncio.IncompleteReadError, msgspec.DecodeError):
                return
            self._move()
            pending = self._pending.get(answered.number)
            if pending is not None and not pending.answer.done():
                pending.answer.set_result(answered.answer)

    def _move(self) -> None:
        self._moved_s = asyncio.get_running_loop().time()

    def _blame(self) -> None:
        for pending in self._under_way():
            pending.deaths += 1
            if pending.deaths >= MAX_DEATHS:
                pending.fail(StudioError(f"the studio died {pending.deaths} times over this job"))
        self._forget_sent()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Close the process's stdin and wait; what does not end by that within 1 s is killed."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(1.0):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
