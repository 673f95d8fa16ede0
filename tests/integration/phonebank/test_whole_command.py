"""The command with a real fleet under it, and agents that do not answer: fast, and all the way."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from phonebank.results import read_rows, read_run
from shared.call import EndedReason, RunState
from shared.result import RunResult
from tests.conftest import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PLAN = """\
version: 1
name: nobody answers
agents: [{{name: deaf, smallwebrtc: {{offer_url: "http://127.0.0.1:{port}/api/offer"}}}}]
personas: [{{name: calm}}]
scenarios: [{{name: hello, script: [{{say: "Hello?"}}, {{hang_up: {{}}}}]}}]
repeat: 4
limits: {{connect_s: {connect_s}, retries: 1}}
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the command with a data folder of the test's own; nothing outlives the test."""
    running: list[subprocess.Popen[str]] = []

    def start_command(*words: str, **environ: str) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if "PHONEBANK" not in name}
        running.append(
            subprocess.Popen(
                [sys.executable, "-P", "-m", "phonebank", *words],
                env=clean | {"PHONEBANK_DATA_DIR": str(tmp_path / "data"), **environ},
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return running[-1]

    yield start_command
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


class SilentServer:
    """Takes connections and never says a word: a call to it runs until it is given up."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._server.setblocking(False)
        self._taken: list[socket.socket] = []
        self.port: int = self._server.getsockname()[1]

    async def until_called(self, calls: int) -> None:
        """Wait until so many calls have come in."""
        await eventually(lambda: self._count() >= calls, f"{calls} calls", within_s=30)

    def _count(self) -> int:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._taken.append(self._server.accept()[0])
        return len(self._taken)

    def close(self) -> None:
        """Hang up on everybody."""
        for connection in (*self._taken, self._server):
            connection.close()


@pytest.fixture
def silent() -> Iterator[SilentServer]:
    """An agent that accepts calls and leaves them there."""
    server = SilentServer()
    yield server
    server.close()


def plan_for(folder: Path, port: int, connect_s: float = 60) -> str:
    """A plan of four calls to this port."""
    file = folder / "plan.yaml"
    file.write_text(PLAN.format(port=port, connect_s=connect_s))
    return str(file)


def fleet_processes(folder: Path) -> dict[int, str]:
    """Living processes that name the test's data folder, with their commands.

    Most in their environment; Valkey, which overwrites its own, in its command line.
    """
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            if str(folder / "data").encode() in said:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(process.name)] = command
    return found


def family_of(pid: int) -> dict[int, str]:
    """The living descendants of a process, with their commands."""
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        for children in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
                waiting.append(child)
    return found


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until_all_are_gone(folder: Path) -> None:
    """No process of the fleet is left."""
    await eventually(lambda: not fleet_processes(folder), "the fleet is gone", within_s=20)


async def test_a_run_brings_up_a_fleet_and_leaves_results_and_nothing_else(
    tmp_path: Path, start: Start
) -> None:
    """Exit code 1, as nobody is there; stdout is run.json and the storage inside DIR is gone."""
    plan = plan_for(tmp_path, port=9)
    command = start("run", plan, "--out", "my results", "--json", "--junit", "deep/junit.xml")
    out, err = command.communicate(timeout=50)
    assert command.returncode == 1, err
    result = msgspec.json.decode(out, type=RunResult)
    assert result.counts.failed == 4
    assert "endpoint_unreachable" in err
    folder = tmp_path / "my results"
    assert read_run(folder) == result
    assert [row.index for row in read_rows(folder)] == [0, 1, 2, 3]
    assert sorted(file.name for file in folder.iterdir()) == ["calls", "calls.jsonl", "run.json"]
    assert (tmp_path / "deep" / "junit.xml").read_text().count("<failure") >= 4
    await until_all_are_gone(tmp_path)
    assert not list((tmp_path / "data" / "embedded").glob("[0-9]*"))


async def test_ctrl_c_cancels_the_run_and_keeps_what_was_done(
    tmp_path: Path, start: Start, silent: SilentServer
) -> None:
    """Exit code 130, a run.json that says cancelled, no process left."""
    command = start("run", plan_for(tmp_path, silent.port), "--out", "out")
    await silent.until_called(4)
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=50)
    assert command.returncode == 130, err
    assert read_run(tmp_path / "out").state is RunState.CANCELLED
    assert "Traceback" not in err
    await until_all_are_gone(tmp_path)


async def test_a_second_ctrl_c_ends_at_once(
    tmp_path: Path, start: Start, silent: SilentServer
) -> None:
    """And still leaves no process behind."""
    command = start("run", plan_for(tmp_path, silent.port), "--out", "out")
    await silent.until_called(4)
    command.send_signal(signal.SIGINT)
    command.send_signal(signal.SIGTERM)  # two SIGINTs at the same moment are one
    command.communicate(timeout=5)
    assert command.returncode == 130
    await until_all_are_gone(tmp_path)


async def test_a_killed_command_leaves_no_process(
    tmp_path: Path, start: Start, silent: SilentServer
) -> None:
    """SIGKILL cannot be caught: the pipe's end does it."""
    command = start("run", plan_for(tmp_path, silent.port), "--out", "out")
    await silent.until_called(4)
    family = family_of(command.pid)
    names = " ".join(family.values())
    for name in ("phonebank.guard", "valkey", "scheduler.main", "worker.main", "worker.studio"):
        assert name in names
    command.kill()
    command.communicate()
    await eventually(
        lambda: not [pid for pid in family if is_alive(pid)], "the family is gone", within_s=20
    )


async def test_a_killed_media_process_costs_no_call(
    tmp_path: Path, start: Start, silent: SilentServer
) -> None:
    """It is started again, and every call has exactly one result."""
    plan = plan_for(tmp_path, silent.port, connect_s=3)
    command = start("run", plan, "--out", "out", PHONEBANK_LEASE_S="3")
    await silent.until_called(4)
    (worker,) = [pid for pid, words in fleet_processes(tmp_path).items() if "worker.main" in words]
    os.kill(worker, signal.SIGKILL)
    _, err = command.communicate(timeout=55)
    assert command.returncode == 1, err
    rows = list(read_rows(tmp_path / "out"))
    assert [row.index for row in rows] == [0, 1, 2, 3]
    assert {row.ended_reason for row in rows} == {EndedReason.OFFER_TIMED_OUT}
    assert any(row.earlier_attempts for row in rows)


async def test_a_fleet_that_stays_serves_other_commands(tmp_path: Path, start: Start) -> None:
    """`up` prints what `run`, `runs` and `show` need."""
    fleet = start("up")
    assert fleet.stdout is not None
    lines = [fleet.stdout.readline().strip() for _ in range(2)]
    there = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    assert set(there) == {"PHONEBANK_REDIS_URL", "PHONEBANK_STORAGE_URL"}

    run = start("run", plan_for(tmp_path, port=9), **there)
    out, err = run.communicate(timeout=50)
    assert run.returncode == 1, err
    assert f"{tmp_path}/data/storage/runs/run-" in out

    runs = start("runs", **there)
    listed = runs.communicate(timeout=20)[0].splitlines()[1].split()
    assert listed[-3:] == ["finished", "fail", "4/4"]
    shown = start("show", listed[0], "--out", "copy", **there)
    assert "endpoint_unreachable" in shown.communicate(timeout=20)[0]
    assert shown.returncode == 1
    assert (tmp_path / "copy" / "calls" / "3" / "1" / "call.json").exists()
    cancel = start("cancel", listed[0], **there)
    assert "is not running" in cancel.communicate(timeout=20)[1]
    unknown = start("show", "run-x", **there)
    assert "run-x" in unknown.communicate(timeout=20)[1]
    assert unknown.returncode == 2

    fleet.send_signal(signal.SIGINT)
    fleet.communicate(timeout=20)
    assert fleet.returncode == 0
    await until_all_are_gone(tmp_path)


async def test_a_fleet_without_a_scheduler_is_out_of_reach(start: Start) -> None:
    """Nothing listens there: exit code 4 and a sentence."""
    nowhere = {
        "PHONEBANK_REDIS_URL": "redis://127.0.0.1:1",
        "PHONEBANK_STORAGE_URL": "memory://",
    }
    runs = start("runs", **nowhere)
    _, err = runs.communicate(timeout=30)
    assert runs.returncode == 4
    assert err.startswith("phonebank: the fleet at redis://127.0.0.1:1 cannot be reached")
