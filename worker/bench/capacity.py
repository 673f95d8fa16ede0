"""`bench capacity`: how many callers a core holds, and what one costs. Owns the order of windows.

For every number of callers and every profile a fresh load agent on one core and a fresh measured
process on another one, so that nothing of one window lives on in the next. Noisy windows are
measured again, a bounded number of times.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec

from shared.errors import FleetError
from worker.bench.host import calibrate
from worker.bench.row import Order, Profile, Row, judged
from worker.bench.speech import make_speech, write_speech

START_S = 60.0
ROW_S = 240.0
"""For everything around warm-up and window: joining, hanging up, counting."""
STOP_S = 5.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure."""

    profiles: Sequence[Profile]
    callers: Sequence[int]
    seconds: float
    warmup_s: float
    repeat: int
    """Quiet windows for each row."""
    again: int
    """Windows beyond those, where some were noisy."""
    core: int
    agent_core: int


class _Pace:
    """How fast this machine was at its best; a slow phase of its host is noise as well."""

    def __init__(self) -> None:
        self._best_ms = calibrate()

    def judged(self, row: Row) -> Row:
        """The row with its drift from the best pace seen so far, judged."""
        self._best_ms = min(self._best_ms, row.calibration_ms)
        drift = (row.calibration_ms / self._best_ms - 1) * 100
        drift = max(drift, row.calibration_drift_percent)
        return judged(msgspec.structs.replace(row, calibration_drift_percent=drift))


async def measure(plan: Plan, said: Callable[[Row], None]) -> list[Row]:
    """Every row of the plan; each is given to `said` when it is there. Raises `FleetError`."""
    rows: list[Row] = []
    pace = _Pace()
    with tempfile.TemporaryDirectory(prefix="phonebank-bench-") as name:
        speech = Path(name) / "speech"
        write_speech(make_speech(), speech)
        for callers in plan.callers:
            for profile in plan.profiles:
                row = await _row(plan, pace, profile, callers, speech)
                rows.append(row)
                said(row)
    return rows


async def _row(plan: Plan, pace: _Pace, profile: Profile, callers: int, speech: Path) -> Row:
    """The median window by CPU: of the quiet ones, where there are any."""
    windows: list[Row] = []
    for _ in range(plan.repeat + plan.again):
        windows.append(pace.judged(await _window(plan, profile, callers, speech)))
        if sum(not window.noisy for window in windows) >= plan.repeat:
            break
    quiet = [window for window in windows if not window.noisy] or windows
    middle = statistics.median_low([window.cpu_ms_per_call_s for window in quiet])
    (row, *_) = (window for window in quiet if window.cpu_ms_per_call_s == middle)
    return msgspec.structs.replace(row, tries=len(windows))


async def _window(plan: Plan, profile: Profile, callers: int, speech: Path) -> Row:
    with tempfile.TemporaryDirectory(prefix="calls-", dir=speech.parent) as folder:
        async with _process("load_agent", str(speech), str(plan.agent_core)) as agent:
            async with asyncio.timeout(START_S):
                url = await _line(agent)
            order = Order(
                profile=profile,
                callers=callers,
                seconds=plan.seconds,
                warmup_s=plan.warmup_s,
                agent_url=url,
                speech=str(speech),
                folder=folder,
                core=plan.core,
            )
            async with _process("measured", msgspec.json.encode(order).decode()) as measured:
                try:
                    async with asyncio.timeout(ROW_S + plan.warmup_s + plan.seconds):
                        line = await _line(measured)
                except TimeoutError as error:
                    message = f"{profile.value} with {callers} callers came to no end"
                    raise FleetError(message) from error
    return msgspec.json.decode(line, type=Row)


@contextlib.asynccontextmanager
async def _process(module: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of the bench; it ends with this block, and with this process however that dies."""
    read_fd, write_fd = os.pipe()
    command = [sys.executable, "-m", f"worker.bench.{module}", *arguments, str(read_fd)]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(read_fd,),
        )
    finally:
        os.close(read_fd)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        os.close(write_fd)


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode().strip()
    if not line:
        raise FleetError("a process of the bench ended early; its words are above")
    return line
