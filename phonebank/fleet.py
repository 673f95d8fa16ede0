"""The embedded fleet: Valkey, one scheduler and one media process for as long as a block lasts.

Owns the children and their private folder; refuses to know runs and plans. Every child ends when
this process does, also by SIGKILL: each holds the read end of a pipe whose only other end is here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket as sockets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
import structlog

from phonebank.child import Child, ParentPipe, Program, guarded, python_module
from phonebank.child_environ import environ_for_children
from phonebank.private_folder import PrivateFolder, private_folder
from phonebank.valkey import url_of, valkey_command, wait_until_it_answers
from shared.errors import CommandError, first_error

log = structlog.get_logger()

VALKEY_START_S = 15.0
LEASE_S = "10"
"""Workers and Redis share a host: a lost worker is noticed sooner than across a network."""
DRAIN_S = 5.0
"""Calls of an embedded fleet are cancelled before it stops; nothing is worth a longer wait."""


class FleetOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the embedded fleet is brought up with.

    `secrets`: names that the plan uses, None for all that are set.
    """

    data_dir: Path
    storage_url: str
    environ: Mapping[str, str]
    secrets: set[str] | None = None
    with_metrics: bool = False


class EmbeddedFleet:
    """A running fleet. Programs that must live and die with it are started by `start`."""

    def __init__(self, order: FleetOrder, folder: PrivateFolder, pipe: ParentPipe) -> None:
        self.order = order
        self.folder = folder.path
        self.redis_url = url_of(folder.socket)
        self.storage_url = order.storage_url
        self.metrics_urls: dict[str, str] = {}
        self.children: list[Child] = []
        self._socket = folder.socket
        self._pipe = pipe
        self._group = asyncio.TaskGroup()

    async def start(self, program: Program, *, foreign: bool = False) -> Child:
        """Start a child; a `foreign` one knows nothing of the parent's pipe and gets a guard."""
        if foreign:
            command = guarded(self._pipe, program.command)
            program = msgspec.structs.replace(program, command=command)
        child = Child(program, self.folder, self._pipe)
        self.children.append(child)
        self._group.create_task(child.run(), name=f"child {program.name}")
        return child

    async def bring_up(self) -> None:
        """Start Valkey, then scheduler and media process; returns as soon as Valkey answers."""
        environ = self._environ(set())  # only the worker calls anybody
        media_core, other_cores = split_cores(_cores())
        command = valkey_command(self.folder, self._socket)
        valkey = Program(name="valkey", command=command, environ=environ, cores=other_cores)
        await self.start(valkey, foreign=True)
        await wait_until_it_answers(self._socket, VALKEY_START_S)
        scheduler = Program(
            name="scheduler",
            command=python_module("scheduler.main"),
            environ=environ | self._metrics("scheduler"),
            cores=other_cores,
        )
        core = {} if media_core is None else {"PHONEBANK_CORE": str(media_core)}
        worker = Program(
            name="worker",
            command=python_module("worker.main"),
            environ=self._environ(self.order.secrets) | core | self._metrics("worker"),
            stop_s=DRAIN_S + 10,
        )
        await self.start(scheduler)
        await self.start(worker)

    async def stop(self) -> None:
        """Stop the children, last started first, so that none loses what it stands on."""
        for child in reversed(self.children):
            await child.stop()

    def kill(self) -> None:
        """Kill all children at once; for the second Ctrl-C."""
        for child in self.children:
            child.kill()

    @contextlib.asynccontextmanager
    async def supervised(self) -> AsyncIterator[None]:
        """Supervise children inside the block; a child that cannot be kept up ends it."""
        try:
            async with self._group:
                try:
                    yield
                finally:
                    await self.stop()
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None

    def _environ(self, secrets: set[str] | None) -> dict[str, str]:
        order = self.order
        inherited = environ_for_children(
            order.environ,
            secrets=secrets,
            with_aws=order.storage_url.startswith("s3:"),
        )
        return (
            {"PHONEBANK_LEASE_S": LEASE_S}
            | inherited
            | {
                "PHONEBANK_METRICS_PORT": "",  # one port cannot serve two processes: see `_metrics`
                "PHONEBANK_REDIS_URL": self.redis_url,
                "PHONEBANK_STORAGE_URL": order.storage_url,
                "PHONEBANK_DATA_DIR": str(order.data_dir),
                "PHONEBANK_DRAIN_S": str(DRAIN_S),
                "PYTHONSAFEPATH": "1",  # their children, too, import our packages, not the folder's
                "PYTHONUNBUFFERED": "1",
            }
        )

    def _metrics(self, name: str) -> dict[str, str]:
        if not self.order.with_metrics:
            return {}
        port = _free_port()
        self.metrics_urls[name] = f"http://127.0.0.1:{port}/metrics"
        return {"PHONEBANK_METRICS_HOST": "127.0.0.1", "PHONEBANK_METRICS_PORT": str(port)}


@contextlib.asynccontextmanager
async def embedded_fleet(order: FleetOrder) -> AsyncIterator[EmbeddedFleet]:
    """A fleet for the time of the block; raises `FleetError` when it cannot be kept up.

    Raises `CommandError` for a storage that its processes could not share.
    """
    if order.storage_url.startswith("memory:"):
        raise CommandError("PHONEBANK_STORAGE_URL: memory:// is no storage that processes share")
    with private_folder(order.data_dir) as folder, ParentPipe() as pipe:
        fleet = EmbeddedFleet(order, folder, pipe)
        async with fleet.supervised():
            await fleet.bring_up()
            yield fleet


def split_cores(cores: list[int]) -> tuple[int | None, set[int] | None]:
    """A core for the media process and the rest; nothing is pinned where there is only one.

    Fleets of one machine choose by process id, so that two of them rarely meet on one core.
    """
    if len(cores) < 2:
        return None, None
    media = cores[os.getpid() % len(cores)]
    return media, set(cores) - {media}


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return []


def _free_port() -> int:
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
