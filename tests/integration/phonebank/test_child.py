"""Supervised children: restarted, given up on, stopped in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from phonebank.child import Child, ParentPipe, Program
from shared.errors import FleetError
from tests.conftest import eventually

PATIENT = "import signal; print('ready', flush=True); signal.pause()"


@pytest.fixture
def pipe() -> Iterator[ParentPipe]:
    """The read end that children hold."""
    with ParentPipe() as opened:
        yield opened


def python(
    source: str, folder: Path, pipe: ParentPipe, *, max_restarts: int = 5, stop_s: float = 10
) -> Child:
    """A child that runs a few lines of Python."""
    command = [sys.executable, "-c", source]
    program = Program(
        name="thing",
        command=command,
        environ=dict(os.environ),
        max_restarts=max_restarts,
        stop_s=stop_s,
    )
    return Child(program, folder, pipe)


async def test_a_child_that_dies_comes_back(tmp_path: Path, pipe: ParentPipe) -> None:
    """With another process id, and without being asked."""
    child = python(PATIENT, tmp_path, pipe)
    async with asyncio.TaskGroup() as group:
        group.create_task(child.run())
        await child.line_with("ready", 10)
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: child.pid not in (None, first), "the child is back")
        await child.stop()
    assert child.pid is None


async def test_a_child_that_cannot_live_is_given_up_with_its_last_words(
    tmp_path: Path, pipe: ParentPipe
) -> None:
    """The sentence says how often, the code, and what the log says."""
    child = python(
        "import sys; print('no such voice'); sys.exit(9)", tmp_path, pipe, max_restarts=1
    )
    with pytest.raises(FleetError, match=r"(?s)thing ended 2 times.*code 9.*no such voice"):
        await child.run()


async def test_a_child_that_ignores_a_stop_is_killed(tmp_path: Path, pipe: ParentPipe) -> None:
    """A stop has an end."""
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + PATIENT
    child = python(deaf, tmp_path, pipe, stop_s=0)
    async with asyncio.TaskGroup() as group:
        group.create_task(child.run())
        await child.line_with("ready", 10)
        await child.stop()
    assert child.pid is None


async def test_grandchildren_go_with_their_parent(tmp_path: Path, pipe: ParentPipe) -> None:
    """A media process that dies leaves no studio behind."""
    source = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '60']);"
        "print('started', child.pid, flush=True); sys.exit(1)"
    )
    child = python(source, tmp_path, pipe, max_restarts=0)
    with pytest.raises(FleetError):
        await child.run()
    grandchild = int(child.log_file.read_text().split()[1])
    stat = Path(f"/proc/{grandchild}/stat")
    await eventually(
        lambda: not stat.exists() or " Z " in stat.read_text(), "the grandchild is gone"
    )


async def test_a_line_that_never_comes_is_an_error(tmp_path: Path, pipe: ParentPipe) -> None:
    """With the time that was waited and what was said instead."""
    child = python(PATIENT, tmp_path, pipe)
    async with asyncio.TaskGroup() as group:
        group.create_task(child.run())
        await child.line_with("ready", 10)
        with pytest.raises(FleetError, match=r"(?s)did not say `listening`.*ready"):
            await child.line_with("listening", 0.1)
        await child.stop()
