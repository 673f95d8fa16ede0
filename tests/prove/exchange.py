"""Real calls with the ruler, without Redis. Owns the processes and the folder of both sides.

What a media process has is here as it is there: one core, ticker, studio, clips, transport.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from shared.agent import Agent, SmallWebRTC
from shared.call import Validity
from shared.expansion import call_at
from shared.http import Http
from shared.persona import Persona
from shared.plan import Limits, RunPlan
from shared.result import CallResult
from shared.scenario import Scenario, ScriptStep
from shared.state.calls import CallKey
from tests.ruler.journal import Entry, read_journal
from tests.ruler.orders import Orders
from worker.call import Call, Equipment
from worker.cores import keep_to
from worker.media.clips import Clips
from worker.media.ticker import Ticker
from worker.studio_port import COMMAND, Studio

ANNOUNCED = "listening on "
ROUNDS = 3
STAGGER_S = 0.13
RULER_LATE_MS = 15.0
"""A ruler that was later than this with an edge did not do what it was told."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One call to be held."""

    orders: Orders
    script: list[ScriptStep]
    persona: Persona
    call_s: float = 120.0


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One call, as phonebank and as the ruler saw it."""

    orders: Orders
    result: CallResult
    folder: Path
    """With the recording and the spool."""
    connected_ns: int
    entry: Entry

    @property
    def why_void(self) -> str:
        """Why this call proves nothing; empty: it does."""
        if self.result.validity is not Validity.VALID:
            return "; ".join(self.result.void_reasons)
        late_ms = max((said.late_ms for said in self.entry.said), default=0.0)
        return f"the ruler was {late_ms:.1f} ms late" if late_ms > RULER_LATE_MS else ""


class Exchange:
    """Holds calls; see `exchange`."""

    def __init__(
        self, equipment: Equipment, offer_url: str, journal: Path, assets: dict[str, Path]
    ) -> None:
        self._equipment = equipment
        self._offer_url = offer_url
        self._journal = journal
        self._assets = assets
        self._calls = 0

    def asset(self, path: Path) -> str:
        """The reference of a sound file for `Play`."""
        reference = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        self._assets[reference] = path
        return reference

    async def hold_valid(self, wanted: list[Order]) -> tuple[list[Held], int, list[str]]:
        """All calls at a time; those that prove nothing are held again.

        Returns the valid ones, how many were held again, and why (with what stayed void at last).
        """
        held: list[Held] = []
        why: list[str] = []
        repeated = 0
        for attempt in range(ROUNDS):
            outcome = await self.hold(wanted)
            held += [call for call in outcome if not call.why_void]
            void = [call for call in outcome if call.why_void]
            why += [f"void: {call.why_void}" for call in void]
            names = {call.orders.name.rsplit("/", 1)[0] for call in void}
            wanted = [order for order in wanted if order.orders.name in names]
            if not wanted or attempt == ROUNDS - 1:
                break
            repeated += len(wanted)
        return held, repeated, why

    async def hold(self, wanted: list[Order]) -> list[Held]:
        """All calls at a time, begun a moment apart; void or not."""
        held: list[Held] = []

        async def one(order: Order, after_s: float) -> None:
            await asyncio.sleep(after_s)
            held.append(await self._call(order))

        async with asyncio.TaskGroup() as group:
            for place, order in enumerate(wanted):
                group.create_task(one(order, place * STAGGER_S))
        return held

    async def _call(self, order: Order) -> Held:
        self._calls += 1
        number = self._calls
        orders = msgspec.structs.replace(order.orders, name=f"{order.orders.name}/{number}")
        plan = RunPlan(
            version=1,
            name="prove",
            agents=[
                Agent(
                    name="ruler",
                    smallwebrtc=SmallWebRTC(
                        offer_url=self._offer_url, request_data=msgspec.to_builtins(orders)
                    ),
                )
            ],
            scenarios=[Scenario(name="prove", script=order.script)],
            personas=[order.persona],
            seed=number,
            limits=Limits(call_s=order.call_s),
        )
        key = CallKey("prove", number, 1)
        call = Call(plan, call_at(plan, 0, 0), key, self._equipment)
        finished = await call.run([])
        conversation = call._conversation
        if conversation is None or conversation.connected_ns is None:
            raise RuntimeError(f"{orders.name} never connected: {finished.result.detail}")
        return Held(
            orders=orders,
            result=finished.result,
            folder=self._equipment.folder / str(key),
            connected_ns=conversation.connected_ns,
            entry=await self._entry(orders.name),
        )

    async def _entry(self, name: str) -> Entry:
        async with asyncio.timeout(15):
            while True:
                entry = read_journal(self._journal).get(name)
                if entry is not None:
                    return entry
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def exchange(*, pinned: bool = True) -> AsyncIterator[Exchange]:
    """An exchange with everything it needs, in a folder that goes with it.

    `pinned`: keep this process to one core and the others to the rest, as a worker does.
    """
    with tempfile.TemporaryDirectory(prefix="phonebank-prove-") as name:
        folder = Path(name)
        async with contextlib.AsyncExitStack() as stack:
            others = keep_to(min(os.sched_getaffinity(0))) if pinned else set()
            journal = folder / "journal.jsonl"
            offer_url = await stack.enter_async_context(_ruler(journal, others))
            http = await stack.enter_async_context(Http(allow_addresses=()))
            studio = await stack.enter_async_context(Studio((*COMMAND, *map(str, others))))
            assets: dict[str, Path] = {}

            async def fetch(reference: str) -> Path:
                return assets[reference]

            ticker = Ticker()
            clips = Clips(studio, folder / "clips", fetch)
            equipment = Equipment(ticker, clips, studio, http, {}, folder / "spool", "prove")
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            pulse = tasks.create_task(ticker.run())
            stack.callback(pulse.cancel)
            if pinned:
                gc.collect()
                gc.freeze()
            yield Exchange(equipment, offer_url, journal, assets)


@contextlib.asynccontextmanager
async def _ruler(journal: Path, cores: set[int]) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.ruler", "--journal", str(journal)),
        *("--cores", ",".join(map(str, cores))),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode().strip()
        if not line.startswith(ANNOUNCED):
            raise RuntimeError("the ruler did not start")
        yield line.removeprefix(ANNOUNCED)
    finally:
        process.stdin.close()
        await process.wait()
