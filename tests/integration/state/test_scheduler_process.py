"""The scheduler as a process: carries a run through, outlives Redis, ends when told or orphaned."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from redis.asyncio import Redis

from shared.errors import StateError
from shared.state.call_key import CallKey
from shared.state.calls import announce_worker, claim, commit
from shared.state.keys import QUEUE
from shared.state.redis import ask, connect
from shared.state.runs import RunStatus, read_run
from shared.state.submissions import Accepted, answer, submit
from shared.storage import Storage
from shared.storage_keys import rows_key
from tests.conftest import eventually
from tests.integration.state.conftest import valkey
from tests.integration.state.plans import passed, surface_text


@asynccontextmanager
async def scheduler(
    url: str, folder: Path, parent_fd: int | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    environ = {
        "PATH": os.environ["PATH"],
        "PHONEBANK_REDIS_URL": url,
        "PHONEBANK_STORAGE_URL": f"file://{folder}/results",
        "PHONEBANK_LEASE_S": "1",
        **({"PHONEBANK_PARENT_FD": str(parent_fd)} if parent_fd is not None else {}),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "scheduler.main"),
        env=environ,
        pass_fds=[parent_fd] if parent_fd is not None else [],
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def accepted_run(redis: Redis, name: str) -> str:

    async def answered() -> bool:
        return await answer(redis, name) is not None

    await eventually(answered, "an answer", 20)
    said = await answer(redis, name)
    assert isinstance(said, Accepted)
    return said.run


async def work_off(redis: Redis, run: str) -> RunStatus:
    """Be the worker until the run is over: claim and commit whatever is in the queue."""
    over: list[RunStatus] = []

    async def work() -> bool:
        with suppress(StateError):  # an outage is part of some tests
            await announce_worker(redis, "w", 5)
            for text in await ask(redis, "ZRANGE", QUEUE.at(), 0, -1):
                key = CallKey.parse(text)
                if await claim(redis, key, "w"):
                    await commit(redis, key, passed())
            status = await read_run(redis, run)
            if status is not None and status.over:
                over.append(status)
        return bool(over)

    await eventually(work, "the run is over", 40)
    return over[0]


async def test_a_submission_is_carried_to_its_end_by_two_schedulers(
    redis: Redis, valkey_url: str, tmp_path: Path
) -> None:
    """Every call has one result though two processes schedule; SIGTERM ends them in order."""
    async with scheduler(valkey_url, tmp_path) as one, scheduler(valkey_url, tmp_path) as two:
        await submit(redis, surface_text(60), "s")
        run = await accepted_run(redis, "s")
        status = await work_off(redis, run)
        assert (status.state, status.done, status.passed) == ("finished", 60, 60)
        rows = await Storage.open(f"file://{tmp_path}/results").get(rows_key(run))
        assert len(rows.splitlines()) == 60
        for process in (one, two):
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_scheduler_outlives_redis(tmp_path: Path) -> None:
    """Redis is killed in mid-run and comes back with its data: the run ends all the same."""
    with valkey(tmp_path) as (url, server):
        redis = connect(url)
        async with scheduler(url, tmp_path) as process:
            await submit(redis, surface_text(20), "s")
            run = await accepted_run(redis, "s")
            server.kill()
            server.wait(10)
            with valkey(tmp_path):
                status = await work_off(redis, run)
                assert (status.done, status.passed) == (20, 20)
                assert process.returncode is None
                await redis.aclose()


async def test_a_scheduler_ends_with_its_parent(
    redis: Redis, valkey_url: str, tmp_path: Path
) -> None:
    """When the parent's pipe closes, the process ends by itself."""
    read_end, write_end = os.pipe()
    async with scheduler(valkey_url, tmp_path, read_end) as process:
        os.close(read_end)
        await submit(redis, surface_text(1), "s")
        await accepted_run(redis, "s")
        os.close(write_end)
        await asyncio.wait_for(process.wait(), 10)


async def test_a_metrics_port_in_use_is_a_wrong_setting(valkey_url: str, tmp_path: Path) -> None:
    """One sentence that names the variable, no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "scheduler.main"),
            env={
                "PATH": os.environ["PATH"],
                "PHONEBANK_REDIS_URL": valkey_url,
                "PHONEBANK_STORAGE_URL": tmp_path.as_uri(),
                "PHONEBANK_METRICS_PORT": str(taken.getsockname()[1]),
            },
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert said.startswith(b"phonebank scheduler: PHONEBANK_METRICS_PORT")


async def test_a_scheduler_without_settings_says_which(tmp_path: Path) -> None:
    """A missing setting is exit code 2, at once."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "scheduler.main"),
        env={"PATH": os.environ["PATH"]},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert b"PHONEBANK_REDIS_URL" in said
