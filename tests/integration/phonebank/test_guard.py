"""The guard: a foreign program never outlives whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from phonebank.child import ParentPipe, guarded
from tests.conftest import eventually

STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture
def pipe() -> Iterator[ParentPipe]:
    """A parent's pipe that the test may close early."""
    opened = ParentPipe()
    yield opened
    opened.close()


def start(pipe: ParentPipe, *command: str) -> subprocess.Popen[bytes]:
    """The guard with its program."""
    return subprocess.Popen(guarded(pipe, list(command)), pass_fds=[pipe.read_fd])


async def program_of(guard: subprocess.Popen[bytes]) -> int:
    """Process id of the guarded program."""
    children = Path(f"/proc/{guard.pid}/task/{guard.pid}/children")
    await eventually(lambda: bool(children.read_text().split()), "the program starts")
    return int(children.read_text().split()[0])  # noqa: ASYNC240 - /proc


def test_its_exit_code_is_the_programs(pipe: ParentPipe) -> None:
    """The supervisor sees why it ended."""
    with start(pipe, sys.executable, "-c", "raise SystemExit(7)") as guard:
        assert guard.wait(10) == 7


async def test_the_program_ends_when_the_pipe_closes(pipe: ParentPipe) -> None:
    """As it does when the parent is killed."""
    with start(pipe, "sleep", "60") as guard:
        program = await program_of(guard)
        pipe.close()
        await eventually(lambda: not alive(program), "the program ends")
        assert guard.wait(10) == 128 + signal.SIGTERM


async def test_a_terminated_guard_takes_the_program_along(pipe: ParentPipe) -> None:
    """This is how a fleet stops in order."""
    with start(pipe, "sleep", "60") as guard:
        program = await program_of(guard)
        guard.terminate()
        guard.wait(10)
        assert not alive(program)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of a death")
async def test_a_killed_guard_takes_the_program_along(pipe: ParentPipe) -> None:
    """Even a program that ignores SIGTERM."""
    with start(pipe, "sh", "-c", STUBBORN) as guard:
        program = await program_of(guard)
        os.kill(guard.pid, signal.SIGKILL)
        await eventually(lambda: not alive(program), "the program ends")
