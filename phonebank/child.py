"""One supervised child process: started, restarted with back-off, stopped in order, logs in a file.

Owns the process and its process group; refuses to know what the program does. That a child ends
with its parent, however the parent dies, is the work of `shared.lifeline` or `phonebank.guard` at
the read end of a `ParentPipe`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import structlog

from shared.errors import FleetError

log = structlog.get_logger()

MAX_RESTARTS = 5
RESTART_WINDOW_S = 30.0
FIRST_DELAY_S = 0.1
LAST_LINES = 12
POLL_S = 0.02


PARENT_FD = "PHONEBANK_PARENT_FD"


class ParentPipe:
    """A pipe that nobody writes to: children hold `read_fd`, the kernel closes our end with us."""

    def __init__(self) -> None:
        self.read_fd, self._write_fd = os.pipe()
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close both ends: children see the end of their parent. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
            os.close(self.read_fd)
            os.close(self._write_fd)


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `stop_s`: how long it may take from SIGTERM before it is killed."""

    name: str
    command: list[str]
    environ: dict[str, str]
    stop_s: float = 10.0
    max_restarts: int = MAX_RESTARTS
    """Within `RESTART_WINDOW_S`; one more is the end of the fleet."""
    cores: set[int] | None = None
    """CPUs it may run on; None leaves it where the system puts it."""


def python_module(name: str, *arguments: str) -> list[str]:
    """The command for `python -m name`, blind to a folder `worker` or `shared` where we stand."""
    return [sys.executable, "-P", "-m", name, *arguments]


def guarded(pipe: ParentPipe, command: list[str]) -> list[str]:
    """The command that runs a foreign program under `phonebank.guard`."""
    return python_module("phonebank.guard", str(pipe.read_fd), "--", *command)


class Child:
    """A program that is kept running by `run` until `stop`."""

    def __init__(self, program: Program, log_folder: Path, pipe: ParentPipe) -> None:
        self.program = program
        self.log_file = log_folder / f"{program.name}.log"
        self._pipe = pipe
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Process id while the child runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def run(self) -> None:
        """Start the program and restart it when it ends, until `stop`.

        Raises `FleetError` with its last lines when it ends more often than it may.
        """
        deaths: deque[float] = deque()
        loop = asyncio.get_running_loop()
        try:
            while not self._stopping.is_set():
                code = await self._run_once()
                if self._stopping.is_set():
                    break
                deaths.append(loop.time())
                while deaths[0] < loop.time() - RESTART_WINDOW_S:
                    deaths.popleft()
                log.warning("child_ended", child=self.program.name, code=code, deaths=len(deaths))
                if len(deaths) > self.program.max_restarts:
                    raise self._gave_up(code)
                await self._pause(FIRST_DELAY_S * 2 ** (len(deaths) - 1))
        finally:
            self.kill()
            self._ended.set()

    async def stop(self) -> None:
        """Ask the program to end and wait; kill its process group after `stop_s`. Idempotent."""
        self._stopping.set()
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(self.program.stop_s):
                    await process.wait()
            except TimeoutError:
                log.warning("child_killed", child=self.program.name)
        self.kill()

    def kill(self) -> None:
        """Kill the program and whatever it left in its process group, at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def line_with(self, words: str, timeout_s: float) -> str:
        """The first line of the log that holds `words`; raises `FleetError` when none comes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._ended.is_set():
                    for line in self._log_lines():
                        if words in line:
                            return line
                    await asyncio.sleep(POLL_S)
        raise FleetError(
            f"{self.program.name} did not say `{words}` within {timeout_s:g} s{self.last_words()}"
        )

    def last_words(self) -> str:
        """The end of the log and where the rest stands, to be put behind a sentence."""
        lines = self._log_lines()[-LAST_LINES:]
        shown = "".join(f"\n  {self.program.name}| {line}" for line in lines)
        return f"; its log {self.log_file} ends with:{shown}" if shown else "; it logged nothing"

    async def _run_once(self) -> int:
        with self.log_file.open("ab") as log_stream:
            self._process = await asyncio.create_subprocess_exec(
                *self.program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log_stream,
                stderr=log_stream,
                env=self.program.environ | {PARENT_FD: str(self._pipe.read_fd)},
                pass_fds=[self._pipe.read_fd],
                start_new_session=True,  # a Ctrl-C is the command's to answer
            )
        process = self._process
        _keep_to(process.pid, self.program.cores)
        if self._stopping.is_set():  # `stop` came while the process was being made
            process.terminate()
        code = await process.wait()
        self.kill()  # its own children must not outlive it
        self._process = None
        return code

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _gave_up(self, code: int) -> FleetError:
        times = self.program.max_restarts + 1
        how_often = f"{times} times in {RESTART_WINDOW_S:g} s" if times > 1 else "unasked"
        return FleetError(
            f"{self.program.name} ended {how_often}, last with code {code}{self.last_words()}"
        )

    def _log_lines(self) -> list[str]:
        try:
            return self.log_file.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []


def _keep_to(pid: int, cores: set[int] | None) -> None:
    if cores and hasattr(os, "sched_setaffinity"):
        # The process may be gone already, or a container may forbid it; neither is a failure.
        with contextlib.suppress(OSError):
            os.sched_setaffinity(pid, cores)
