"""The process that is measured: `python -m worker.bench.measured`. Owns the window and its figures.

Holds the callers of one `Order`, lets them settle, and measures itself from the first to the last
moment of one window; says the `Row` on stdout. What is asked of the load agent, read from disk or
worked out is done before or after the window.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import aioice.ice
import msgspec
import numpy as np
import structlog

from shared.errors import FleetError
from shared.http import Http
from shared.lifeline import watch_parent
from worker.bench.callers import Callers
from worker.bench.host import (
    CoreTime,
    ProcessTime,
    calibrate,
    core_time,
    process_time,
    resident_mb,
    threads,
)
from worker.bench.lateness import Lateness
from worker.bench.load_agent import LOOPBACK, Asked, State
from worker.bench.naive import NaiveCallers
from worker.bench.packet import PacketCallers, packet_equipment
from worker.bench.row import Order, Profile, Row
from worker.bench.speech import read_speech
from worker.cores import keep_to
from worker.garbage import spare_the_loop
from worker.media.clock import now_ns
from worker.media.ticker import Ticker

JOINS_PER_S = 10
TALKING_S = 30.0
"""Until the last of the callers must be heard."""
HANG_UP_S = 60.0
PROBE_S = 0.05
ASK_S = 30.0
MAX_ANSWER_BYTES = 10_000

Answer = TypeVar("Answer")


class Instant(msgspec.Struct, frozen=True):
    """Everything that only grows, at one moment."""

    clock_ns: int
    wall_ns: int
    process: ProcessTime
    core: CoreTime


class Settling(msgspec.Struct, frozen=True):
    """What it took until everybody talked."""

    cpu_s: float
    call_s: float
    """Seconds of all calls together until then."""


class Window(msgspec.Struct, frozen=True):
    """One window from both ends, with what can be seen only inside of it."""

    began: Instant
    ended: Instant
    lags_ms: list[float]
    resident_mb: float
    threads: int

    @property
    def elapsed_s(self) -> float:
        """Its length as it came out."""
        return (self.ended.clock_ns - self.began.clock_ns) / 1e9


class Measurement:
    """One order carried out."""

    def __init__(self, order: Order, http: Http) -> None:
        self._order = order
        self._http = http

    async def row(self) -> Row:
        """Hold the calls and measure them."""
        order = self._order
        calibration_ms = calibrate()
        async with self._callers() as callers:
            resident_before_mb = resident_mb()
            async with asyncio.TaskGroup() as group:
                settling, calls = await self._settle(callers, group)
                await asyncio.sleep(order.warmup_s)
                window = await self._window()
                late = await self._lateness(window)
                broken = sum(call.done() for call in calls)
                callers.hang_up()
                async with asyncio.timeout(HANG_UP_S):
                    lasted = await asyncio.gather(*calls)
            broken = max(broken, lasted.count(False))
            received = callers.received(window.began.clock_ns, window.ended.clock_ns)
        drift = abs(calibrate() / calibration_ms - 1) * 100
        row = _row(order, window, late, settling, received)
        return msgspec.structs.replace(
            row,
            calls_broken=broken,
            rss_per_call_mb=(window.resident_mb - resident_before_mb) / order.callers,
            calibration_ms=calibration_ms,
            calibration_drift_percent=drift,
        )

    @contextlib.asynccontextmanager
    async def _callers(self) -> AsyncIterator[Callers]:
        order = self._order
        speech, folder = read_speech(Path(order.speech)), Path(order.folder)
        offer_url = f"{order.agent_url}/api/offer"
        if order.profile is Profile.NAIVE:
            yield NaiveCallers(speech, offer_url, self._http)
            return
        spare_the_loop()
        ticker = Ticker()
        listen = order.profile is Profile.PACKET
        equipment = packet_equipment(speech, folder, ticker, self._http, listen=listen)
        async with asyncio.TaskGroup() as group:
            pulse = group.create_task(ticker.run(), name="ticker")
            yield PacketCallers(offer_url, order.callers, equipment)
            pulse.cancel()

    async def _settle(
        self, callers: Callers, group: asyncio.TaskGroup
    ) -> tuple[Settling, list[asyncio.Task[bool]]]:
        """Begin every call, at a steady pace, and wait until the agent hears all of them."""
        began_s, before = time.monotonic(), process_time()
        calls, began = [], []
        for index in range(self._order.callers):
            calls.append(group.create_task(callers.hold(index), name=f"call {index}"))
            began.append(time.monotonic())
            next_s = began_s + (index + 1) / JOINS_PER_S
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))
        deadline_s = time.monotonic() + TALKING_S
        while time.monotonic() < deadline_s:
            if (await self._ask("/state", {}, State)).sending >= self._order.callers:
                break
            await asyncio.sleep(0.1)
        now_s = time.monotonic()
        cpu_s = process_time().all_s - before.all_s
        return Settling(cpu_s, sum(now_s - each for each in began)), calls

    async def _window(self) -> Window:
        loop = asyncio.get_running_loop()
        lags_ms: list[float] = []
        began = self._instant()
        until_s = began.clock_ns / 1e9 + self._order.seconds
        while (left_s := until_s - loop.time()) > 0:
            wait_s = min(PROBE_S, left_s)
            asleep_s = loop.time()
            await asyncio.sleep(wait_s)
            lags_ms.append((loop.time() - asleep_s - wait_s) * 1000)
        ended = self._instant()
        return Window(began, ended, lags_ms, resident_mb(), threads())

    def _instant(self) -> Instant:
        return Instant(now_ns(), time.time_ns(), process_time(), core_time(self._order.core))

    async def _lateness(self, window: Window) -> Lateness:
        asked = Asked(self._order.callers, window.began.wall_ns, window.ended.wall_ns)
        return await self._ask("/lateness", msgspec.to_builtins(asked), Lateness)

    async def _ask(self, path: str, body: object, answer: type[Answer]) -> Answer:
        said = await self._http.post_json(
            self._order.agent_url + path, body, {}, timeout_s=ASK_S, max_bytes=MAX_ANSWER_BYTES
        )
        return msgspec.json.decode(said.body, type=answer)


def _row(order: Order, window: Window, late: Lateness, settling: Settling, received: int) -> Row:
    elapsed_s, began, ended = window.elapsed_s, window.began, window.ended
    call_s = elapsed_s * order.callers
    user_s = ended.process.user_s - began.process.user_s
    system_s = ended.process.system_s - began.process.system_s
    own_s = user_s + system_s
    busy_s = ended.core.busy_s - began.core.busy_s
    steady = own_s / call_s
    return Row(
        profile=order.profile,
        callers=order.callers,
        seconds=order.seconds,
        cpu_ms_per_call_s=steady * 1000,
        user_ms_per_call_s=user_s / call_s * 1000,
        system_ms_per_call_s=system_s / call_s * 1000,
        core_percent=own_s / elapsed_s * 100,
        lateness_p50_ms=late.p50_ms,
        lateness_p99_ms=late.p99_ms,
        lateness_p999_ms=late.p999_ms,
        lateness_max_ms=late.max_ms,
        lateness_bin_p99_ms=late.bin_p99_ms,
        loop_lag_p99_ms=float(np.percentile(window.lags_ms, 99)),
        packets_per_s=late.packets_per_s,
        packets_received_per_s=received / call_s,
        callers_sending=late.callers,
        calls_broken=0,
        rss_mb=window.resident_mb,
        rss_per_call_mb=0.0,
        threads=window.threads,
        set_up_cpu_ms=max(0.0, settling.cpu_s - steady * settling.call_s) / order.callers * 1000,
        foreign_percent=max(0.0, busy_s - own_s) / elapsed_s * 100,
        steal_percent=(ended.core.stolen_s - began.core.stolen_s) / elapsed_s * 100,
        calibration_ms=0.0,
        calibration_drift_percent=0.0,
    )


async def _main(order: Order) -> None:
    keep_to(order.core)
    # Nothing leaves the host: aioice never offers loopback by itself.
    setattr(aioice.ice, "get_host_addresses", lambda **_: [LOOPBACK])  # noqa: B010 - a replacement
    async with Http() as http:
        row = await Measurement(order, http).row()
    sys.stdout.write(msgspec.json.encode(row).decode() + "\n")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    watch_parent(int(sys.argv[2]))
    try:
        asyncio.run(_main(msgspec.json.decode(sys.argv[1], type=Order)))
    except* FleetError as errors:
        sys.exit(str(errors.exceptions[0]))
