"""The way to the studio process. Owns its life and who waits for what; does none of its work.

A process that dies is started again, and the jobs it held are sent once more; a job that two
processes did not survive fails.
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
"""A job that takes longer, its wait in line included, takes the process with it."""
MAX_SENDS = 2
RESTART_PAUSE_S = 0.5
ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")
"""The studio sees these variables only: it has no use for a secret."""

log = structlog.get_logger()


class StudioDiskError(StudioError):
    """The studio lives, and its disk refused a file."""

    reason = "studio_disk"


class _Pending:
    """A job that somebody waits for."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.sends = 0
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


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
        self._process: asyncio.subprocess.Process | None = None
        self._pending: dict[int, _Pending] = {}
        self._number = 0
        self.restarts = 0
        """Processes that died and were replaced."""

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._keeper = self._tasks.create_task(self._keep(), name="studio")
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        assert self._keeper is not None
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
        pending = self._pending[number] = _Pending(message)
        try:
            if self._process is not None:
                self._send(self._process, pending)
            async with asyncio.timeout(self._job_limit_s):
                answer = await pending.answer
        except TimeoutError:
            self._kill()
            raise StudioError(f"a studio job took more than {self._job_limit_s:g} s") from None
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
        pending.sends += 1
        process.stdin.write(len(pending.message).to_bytes(LENGTH_BYTES, "big") + pending.message)

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _keep(self) -> None:
        """Start processes, one after another, until cancelled."""
        try:
            while True:
                try:
                    await self._live_once()
                except OSError as error:  # no memory or process to be had: perhaps later
                    log.warning("studio_not_started", error=str(error))
                self.restarts += 1
                self._give_up_on_deadly()
                log.warning("studio_died", restarts=self.restarts)
                await asyncio.sleep(RESTART_PAUSE_S)
        finally:
            for pending in self._pending.values():
                if not pending.answer.done():
                    pending.answer.set_exception(StudioError("the studio was closed"))

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
            for pending in self._pending.values():
                self._send(process, pending)
            await self._read(process)
        finally:
            self._process = None
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
            pending = self._pending.get(answered.number)
            if pending is not None and not pending.answer.done():
                pending.answer.set_result(answered.answer)

    def _give_up_on_deadly(self) -> None:
        for pending in self._pending.values():
            if pending.sends >= MAX_SENDS and not pending.answer.done():
                pending.answer.set_exception(
                    StudioError(f"the studio died {pending.sends} times over this job")
                )


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
