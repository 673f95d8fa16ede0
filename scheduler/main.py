"""The scheduler process: `python -m scheduler.main`. Owns its loops, their pace and their stop.

Intake, admission, reaper and closing each look at Redis on their own; none keeps anything that
another scheduler could not take over, so any number of schedulers may run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import structlog
from redis.asyncio import Redis

from scheduler.admission import Admission
from scheduler.closing import Closing
from scheduler.intake import Intake
from scheduler.plans import Plans
from scheduler.reaper import Reaper
from shared import metrics
from shared.errors import CommandError, FleetError
from shared.lifeline import watch_parent
from shared.logs import set_up_logs
from shared.settings import Settings
from shared.state.redis import connect
from shared.storage import Storage

ADMISSION_PAUSE_S = 0.05
REAPER_PAUSE_S = 1.0
CLOSING_PAUSE_S = 0.2
CLOSERS = 4
"""Runs closed at the same time: the rows of a large one must not keep small ones waiting."""
HEARTBEAT_S = 1.0
LONGEST_BACK_OFF_S = 5.0

log = structlog.get_logger()


def main() -> None:
    """Run until told to stop; exit code 2 for a wrong setting."""
    try:
        settings = Settings.from_environ()
        set_up_logs(settings, "scheduler")
        watch_parent(settings.parent_fd)
        asyncio.run(serve(settings))
    except CommandError as error:
        sys.stderr.write(f"phonebank scheduler: {error}\n")
        sys.exit(2)


async def serve(settings: Settings) -> None:
    """Schedule until SIGTERM or SIGINT."""
    if settings.redis_url is None or settings.storage_url is None:
        raise CommandError("a scheduler needs PHONEBANK_REDIS_URL and PHONEBANK_STORAGE_URL")
    storage = Storage.open(settings.storage_url)
    redis = connect(settings.redis_url)
    heartbeat = metrics.Heartbeat()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(redis.aclose)
        port = stack.enter_context(
            metrics.serve_metrics(settings.metrics_host, settings.metrics_port, heartbeat)
        )
        log.info("scheduler_ready", metrics_port=port)
        await _schedule(settings, redis, storage, heartbeat)
    log.info("scheduler_stopped")


async def _schedule(
    settings: Settings, redis: Redis, storage: Storage, heartbeat: metrics.Heartbeat
) -> None:
    plans = Plans(redis, storage)
    lease_ms = round(settings.lease_s * 1000)
    reaper_pause_s = min(REAPER_PAUSE_S, settings.lease_s / 6)
    intake = Intake(redis, storage, f"{settings.worker_name}-{os.getpid()}")
    admission, closing = Admission(redis), Closing(redis, storage, plans)
    reaper = Reaper(redis, storage, plans, lease_ms=lease_ms)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(repeat("intake", intake.once, 0.0)),
            group.create_task(repeat("admission", admission.once, ADMISSION_PAUSE_S)),
            group.create_task(repeat("reaper", reaper.once, reaper_pause_s)),
            group.create_task(_beat(heartbeat)),
        ]
        tasks += [
            group.create_task(repeat("closing", closing.once, CLOSING_PAUSE_S))
            for _ in range(CLOSERS)
        ]
        await stopping.wait()
        for task in tasks:
            task.cancel()


async def repeat(name: str, once: Callable[[], Awaitable[int]], pause_s: float) -> None:
    """Call `once` until cancelled: again at once while there is work, else after `pause_s`.

    A Redis or storage that fails is tried again with longer and longer pauses.
    """
    failures = 0
    while True:
        try:
            did = await once()
        except FleetError as error:
            failures += 1
            back_off_s = min(0.1 * 2**failures, LONGEST_BACK_OFF_S)
            log.warning("loop_failed", loop=name, error=str(error), back_off_s=back_off_s)
            await asyncio.sleep(back_off_s)
            continue
        failures = 0
        await asyncio.sleep(0 if did else pause_s)


async def _beat(heartbeat: metrics.Heartbeat) -> None:
    while True:
        heartbeat.beat()
        await asyncio.sleep(HEARTBEAT_S)


if __name__ == "__main__":
    main()
