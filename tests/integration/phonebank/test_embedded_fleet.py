"""The embedded fleet's Valkey and folders: up, down, and gone after the worst end of its parent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from phonebank.child import Child, ParentPipe, Program
from phonebank.fleet import EmbeddedFleet, FleetOrder, embedded_fleet, split_cores
from phonebank.private_folder import LONGEST_SOCKET_PATH, private_folder
from phonebank.valkey import url_of, valkey_command, wait_until_it_answers
from shared.errors import CommandError, FleetError
from shared.state.redis import ask, connect
from tests.conftest import eventually

HOLDER = """
import asyncio, os, sys
from pathlib import Path
from phonebank.child import ParentPipe, Program
from phonebank.fleet import EmbeddedFleet, FleetOrder
from phonebank.private_folder import private_folder
from phonebank.valkey import valkey_command, wait_until_it_answers

async def main():
    data_dir = Path(sys.argv[1])
    order = FleetOrder(data_dir=data_dir, storage_url="memory://", environ=os.environ)
    with private_folder(data_dir) as folder, ParentPipe() as pipe:
        fleet = EmbeddedFleet(order, folder, pipe)
        async with fleet.supervised():
            command = valkey_command(folder.path, folder.socket)
            program = Program(name="valkey", command=command, environ=dict(os.environ))
            await fleet.start(program, foreign=True)
            await wait_until_it_answers(folder.socket, 15)
            print(folder.socket, flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


def processes_naming(words: str) -> list[int]:
    """Living processes with these words in their command line or title."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if words.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_no_valkey_outlives_a_killed_command(tmp_path: Path) -> None:
    """SIGKILL leaves no time to clean up: the kernel's pipe does it, the next fleet sweeps."""
    with subprocess.Popen(  # noqa: ASYNC220 - one line is read, then it is killed
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        socket = holder.stdout.readline().strip()
        assert len(processes_naming(socket)) == 2  # the guard and Valkey
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        await eventually(lambda: not processes_naming(socket), "Valkey and its guard are gone")
    assert len(list((tmp_path / "embedded").glob("[0-9]*"))) == 1
    with private_folder(tmp_path) as folder:
        assert list((tmp_path / "embedded").glob("[0-9]*")) == [folder.path]


async def test_what_valkey_holds_survives_its_death(tmp_path: Path) -> None:
    """It is restarted on the same socket with its append-only file."""
    order = FleetOrder(data_dir=tmp_path, storage_url="memory://", environ=os.environ)
    with private_folder(tmp_path) as folder, ParentPipe() as pipe:
        fleet = EmbeddedFleet(order, folder, pipe)
        async with fleet.supervised():
            command = valkey_command(folder.path, folder.socket)
            program = Program(name="valkey", command=command, environ=dict(os.environ))
            child = await fleet.start(program, foreign=True)
            await wait_until_it_answers(folder.socket, 15)
            redis = connect(fleet.redis_url)
            await ask(redis, "SET", "phonebank:kept", "yes")
            await eventually(
                lambda: b"phonebank:kept" in _append_only(folder.path), "the file holds the key"
            )
            first = child.pid
            child.kill()
            await eventually(lambda: child.pid not in (None, first), "the guard is back")
            await wait_until_it_answers(folder.socket, 15)
            assert await ask(redis, "GET", "phonebank:kept") == b"yes"
            await redis.aclose()
    assert not folder.path.exists()


def test_a_folder_in_use_is_not_swept(tmp_path: Path) -> None:
    """Two commands of one user share the data folder."""
    with private_folder(tmp_path) as one, private_folder(tmp_path) as two:
        assert one.path != two.path
        assert one.path.exists()
        assert two.path.exists()


def test_a_long_path_gets_a_short_socket_that_is_removed_too(tmp_path: Path) -> None:
    """A Unix socket's path has about a hundred bytes."""
    deep = tmp_path / ("d" * LONGEST_SOCKET_PATH)
    with private_folder(deep) as folder:
        assert len(os.fsencode(folder.socket)) < LONGEST_SOCKET_PATH
        assert folder.socket.parent.exists()
    assert not folder.socket.parent.exists()


def test_a_data_folder_that_cannot_be_made_is_a_wrong_setting(tmp_path: Path) -> None:
    """The sentence names the variable."""
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(CommandError, match="PHONEBANK_DATA_DIR"),
        private_folder(tmp_path / "file" / "data"),
    ):
        pass


async def test_storage_that_processes_cannot_share_is_refused_before_any_starts(
    tmp_path: Path,
) -> None:
    """In memory each process would have its own."""
    order = FleetOrder(data_dir=tmp_path, storage_url="memory://", environ=os.environ)
    with pytest.raises(CommandError, match="memory://"):
        async with embedded_fleet(order):
            pass
    assert not (tmp_path / "embedded").exists()


async def test_only_the_worker_is_given_secrets(tmp_path: Path) -> None:
    """Neither Redis nor the scheduler has a use for them."""
    environ = {**os.environ, "BOT_TOKEN": "hunter2"}
    order = FleetOrder(
        data_dir=tmp_path, storage_url=tmp_path.as_uri(), environ=environ, secrets={"BOT_TOKEN"}
    )
    async with embedded_fleet(order) as fleet:
        told = [child.program.name for child in fleet.children if _knows(child, "hunter2")]
    assert told == ["worker"]


def _knows(child: Child, value: str) -> bool:
    return value in child.program.environ.values()


async def test_a_metrics_port_of_the_environment_is_not_given_to_several_processes(
    tmp_path: Path,
) -> None:
    """The second to bind it would end, again and again, and with it the fleet."""
    environ = {**os.environ, "PHONEBANK_METRICS_PORT": "9", "PHONEBANK_LEASE_S": "7"}
    order = FleetOrder(data_dir=tmp_path, storage_url=tmp_path.as_uri(), environ=environ)
    async with embedded_fleet(order) as fleet:
        given = [child.program.environ for child in fleet.children]
    assert {names["PHONEBANK_LEASE_S"] for names in given} == {"7"}
    assert {names["PHONEBANK_METRICS_PORT"] for names in given} == {""}


async def test_the_logs_of_a_fleet_that_failed_stay_until_the_next_one(tmp_path: Path) -> None:
    """The error names a file that can be read."""

    async def fail() -> None:
        order = FleetOrder(data_dir=tmp_path, storage_url="memory://", environ=os.environ)
        program = Program(name="thing", command=["false"], environ={}, max_restarts=0)
        with private_folder(tmp_path) as folder, ParentPipe() as pipe:
            fleet = EmbeddedFleet(order, folder, pipe)
            async with fleet.supervised():
                await fleet.start(program)
                await asyncio.Event().wait()

    with pytest.raises(FleetError, match="thing ended"):
        await fail()
    (kept,) = (tmp_path / "embedded").glob("[0-9]*")
    assert (kept / "thing.log").exists()
    with private_folder(tmp_path):
        assert not kept.exists()


async def test_any_folders_name_can_stand_in_the_url(tmp_path: Path) -> None:
    """The data folder is the user's to name."""
    socket = tmp_path / "50% #1? of @home"
    redis = connect(url_of(socket))
    assert redis.connection_pool.connection_kwargs["path"] == str(socket)
    await redis.aclose()


def test_the_media_process_has_a_core_of_its_own_where_there_are_two() -> None:
    """On one core nothing is pinned."""
    assert split_cores([0]) == (None, None)
    media, others = split_cores([0, 1, 4])
    assert media is not None
    assert others == {0, 1, 4} - {media}


def _append_only(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in (folder / "appendonlydir").glob("*.aof"))
