"""One media process: `python -m worker.main`. Owns start, wiring and stop; holds no call itself.

SIGTERM drains: no new calls, calls under way finish, results are committed, the process ends. A
second SIGTERM ends at once; what was spooled stays on disk and the calls' leases run out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from typing import NamedTuple

import structlog

from shared import metrics
from shared.errors import CommandError, FleetError
from shared.http import Http
from shared.lifeline import watch_parent
from shared.logs import set_up_logs
from shared.settings import Settings
from shared.state.redis import connect
from shared.storage import Storage
from worker.assets import Assets
from worker.call import Equipment
from worker.capacity import Capacity
from worker.commit import Ledger
from worker.cores import keep_to
from worker.garbage import spare_the_loop
from worker.host import Host
from worker.leases import Leases
from worker.media.clips import Clips
from worker.media.ticker import Ticker
from worker.studio_port import COMMAND, Studio
from worker.switchboard import Switchboard
from worker.transports.peer import check_aiortc

SAMPLE_S = 1.0

log = structlog.get_logger()


class _Watch(NamedTuple):
    """Who wants a look once a second."""

    heartbeat: metrics.Heartbeat
    host: Host


def main() -> None:
    """Run until told to stop; exit code 2 for a wrong setting, 4 for a fleet out of reach."""
    try:
        settings = Settings.from_environ()
        set_up_logs(settings, "worker")
        watch_parent(settings.parent_fd)
        asyncio.run(_serve(settings))
    except CommandError as error:
        sys.exit(_said(error, 2))
    except FleetError as error:
        sys.exit(_said(error, 4))


def _said(error: Exception, code: int) -> int:
    sys.stderr.write(f"phonebank worker: {error}\n")
    return code


async def _serve(settings: Settings) -> None:
    check_aiortc()
    spare_the_loop()
    heartbeat, host = metrics.Heartbeat(), Host()
    with metrics.serve_metrics(settings.metrics_host, settings.metrics_port, heartbeat) as port:
        async with _parts(settings, host) as (switchboard, leases, capacity, ticker):
            log.info("worker_ready", slots=settings.slots, metrics_port=port)
            metrics.slots_offered(settings.slots)
            await _work(settings, switchboard, leases, capacity, ticker, _Watch(heartbeat, host))
    log.info("worker_stopped")


@contextlib.asynccontextmanager
async def _parts(
    settings: Settings, host: Host
) -> AsyncIterator[tuple[Switchboard, Leases, Capacity, Ticker]]:
    if settings.redis_url is None or settings.storage_url is None:
        raise CommandError("a worker needs PHONEBANK_REDIS_URL and PHONEBANK_STORAGE_URL")
    folder = settings.data_path / "spool" / settings.worker_name
    folder.mkdir(parents=True, exist_ok=True)
    storage = Storage.open(settings.storage_url)
    async with contextlib.AsyncExitStack() as stack:
        redis = connect(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        http = await stack.enter_async_context(Http(allow_addresses=settings.allow_addresses))
        others = keep_to(settings.core)
        studio = await stack.enter_async_context(Studio((*COMMAND, *map(str, others))))
        assets = Assets(storage, settings.data_path / "assets")
        clips = Clips(studio, settings.data_path / "clips", assets.fetch)
        ticker, capacity = Ticker(), Capacity(settings.slots)
        leases = Leases(redis, settings.worker_name, settings.slots, settings.lease_s)
        equipment = Equipment(
            ticker, clips, studio, http, os.environ, folder, settings.worker_name, host
        )
        ledger = Ledger(redis, storage)
        yield Switchboard(redis, equipment, leases, capacity, ledger), leases, capacity, ticker
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _work(
    settings: Settings,
    switchboard: Switchboard,
    leases: Leases,
    capacity: Capacity,
    ticker: Ticker,
    watch: _Watch,
) -> None:
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(ticker.run(), name="ticker"),
            group.create_task(leases.keep(), name="leases"),
            group.create_task(_sample(capacity, ticker, watch), name="sample"),
            group.create_task(switchboard.serve(), name="switchboard"),
        ]
        await stopping.wait()
        log.info("worker_draining")
        await switchboard.drain(settings.drain_s)
        for task in tasks:
            task.cancel()


def _stop_on_signals(stopping: asyncio.Event) -> None:
    """First signal: drain. Second: end at once, as `python` would have."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)


async def _sample(capacity: Capacity, ticker: Ticker, watch: _Watch) -> None:
    """Once a second: sign of life, the host's pressure, CPU share, lateness."""
    while True:
        watch.heartbeat.beat()
        watch.host.sample()
        capacity.sample(ticker.lateness_p99_ms())
        await asyncio.sleep(SAMPLE_S)


if __name__ == "__main__":
    main()
