"""A job's way through one media process, with a real studio and an agent that echoes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis

from shared.http import Http
from shared.plan import RunPlan
from shared.result import CallResult
from shared.state.keys import BUSY, CALL, LEASES, QUEUE, WORKERS
from shared.state.redis import ask
from shared.state.runs import RunRecord, RunStatus, cancel_run, read_run, start_run
from shared.storage import Storage
from shared.storage_keys import call_key, winner_key
from tests.conftest import eventually
from tests.integration.state.plans import admit, agent, plan, surface_text
from tests.integration.transports.pipecat_peer import PipecatPeer
from tests.integration.worker.calls import WORKER
from worker.assets import Assets
from worker.call import Equipment
from worker.capacity import Capacity
from worker.commit import Ledger
from worker.leases import Leases
from worker.media.clips import Clips
from worker.media.ticker import Ticker
from worker.studio_port import Studio
from worker.switchboard import Switchboard

SHORT: list[object] = [{"say": "Hello."}, {"hang_up": {}}]
LONG: list[object] = [{"silence": 30}, *SHORT]


class Desk:
    """A media process without its process."""

    def __init__(self, redis: Redis, folder: Path, studio: Studio, http: Http) -> None:
        self.redis = redis
        self.storage = Storage.open("memory://")
        self.spool = folder / "spool"
        self.ticker = Ticker()
        self.leases = Leases(redis, WORKER, 4, 30.0)
        assets = Assets(self.storage, folder / "assets")
        clips = Clips(studio, folder / "clips", assets.fetch)
        equipment = Equipment(self.ticker, clips, studio, http, {}, self.spool, WORKER)
        self.switchboard = Switchboard(
            redis, equipment, self.leases, Capacity(4), Ledger(redis, self.storage)
        )

    async def run_of(self, peer: PipecatPeer, script: list[object], calls: int) -> None:
        """Start run `r`: so many calls to `peer`, with no retries."""
        tree = msgspec.json.decode(surface_text(calls, retries=0))
        tree["agents"][0]["smallwebrtc"]["offer_url"] = f"{peer.url}/api/offer"
        tree["scenarios"][0]["script"] = script
        planned: RunPlan = plan(calls, retries=0, agents=[agent(url=f"{peer.url}/api/offer")])
        text = msgspec.json.encode(tree)
        await start_run(self.redis, "r", planned, text, RunRecord(name="test"), weight=1.0)

    async def status(self) -> RunStatus:
        status = await read_run(self.redis, "r")
        assert status is not None
        return status


@pytest.fixture
async def peer() -> AsyncIterator[PipecatPeer]:
    async with PipecatPeer() as server:
        yield server


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips are made once for all tests here."""
    return tmp_path_factory.mktemp("desk")


@pytest.fixture
async def desk(redis: Redis, clip_folder: Path) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(Http())
        studio = await stack.enter_async_context(Studio())
        yield Desk(redis, clip_folder, studio, http)


@asynccontextmanager
async def at_work(desk: Desk) -> AsyncIterator[None]:
    """Leases are kept and calls ticked; the queue is served until `drain`."""
    tasks = [asyncio.create_task(part) for part in (desk.ticker.run(), desk.leases.keep())]
    serving = asyncio.create_task(desk.switchboard.serve())
    try:
        yield
        async with asyncio.timeout(5):
            await serving
    finally:
        for task in (*tasks, serving):
            task.cancel()
        await asyncio.gather(*tasks, serving, return_exceptions=True)


async def admit_when_offered(desk: Desk, calls: int) -> None:
    async def offered() -> bool:
        return await ask(desk.redis, "ZSCORE", WORKERS.at(), WORKER) is not None

    await eventually(offered, "the worker offers its slots")
    assert len(await admit(desk.redis)) == calls


async def test_a_job_is_claimed_held_and_settled(desk: Desk, peer: PipecatPeer) -> None:
    """Two calls become two results; nothing of them stays in Redis's queues or on disk."""
    await desk.run_of(peer, SHORT, 2)

    async def is_done() -> bool:
        return (await desk.status()).done == 2

    async with at_work(desk):
        await admit_when_offered(desk, 2)
        await eventually(is_done, "both calls are committed")
        await desk.switchboard.drain(10)
    status = await desk.status()
    assert (status.passed, status.running, status.ended_reasons) == (2, 0, {"caller_hung_up": 2})
    for index in range(2):
        assert await desk.storage.exists(winner_key("r", index))
        row = await desk.storage.get(call_key("r", index, 1))
        result = msgspec.json.decode(row, type=CallResult)
        assert result.instrument.worker == WORKER
        assert result.connected_at is not None
    assert await ask(desk.redis, "ZCARD", QUEUE.at()) == 0
    assert await ask(desk.redis, "ZCARD", LEASES.at()) == 0
    assert list(desk.spool.iterdir()) == []


async def test_a_drain_waits_for_calls_under_way(desk: Desk, peer: PipecatPeer) -> None:
    """It takes nothing new, and the call that runs is a result like any other."""
    await desk.run_of(peer, SHORT, 1)
    async with at_work(desk):
        await admit_when_offered(desk, 1)
        await eventually(lambda: bool(peer.bots), "the agent is called")
        await desk.switchboard.drain(30)
    assert (await desk.status()).passed == 1
    assert await ask(desk.redis, "ZSCORE", WORKERS.at(), WORKER) is None


async def test_a_drain_hands_back_what_does_not_end(desk: Desk, peer: PipecatPeer) -> None:
    """The call waits for another worker, with its retries as they were."""
    await desk.run_of(peer, LONG, 1)
    async with at_work(desk):
        await admit_when_offered(desk, 1)
        await eventually(lambda: bool(peer.bots), "the agent is called")
        await desk.switchboard.drain(0)
    status = await desk.status()
    assert (status.waiting, status.running, status.done) == (1, 0, 0)
    assert await ask(desk.redis, "HGET", CALL.at("r", 0), "tries") is None
    assert list(desk.spool.iterdir()) == []


async def test_a_job_that_is_only_being_claimed_when_the_drain_gives_up_goes_back_too(
    desk: Desk, peer: PipecatPeer
) -> None:
    """However the drain falls between queue and call: none is held to its end, none is lost."""
    await desk.run_of(peer, LONG, 4)
    async with at_work(desk):
        await admit_when_offered(desk, 4)

        async def one_is_claimed() -> bool:
            return bool(await ask(desk.redis, "HGET", BUSY.at(), WORKER))

        await eventually(one_is_claimed, "the first job is taken")
        async with asyncio.timeout(10):
            await desk.switchboard.drain(0)
    status = await desk.status()
    assert (status.running, status.done, status.waiting + status.admitted) == (0, 0, 4)


async def test_a_cancelled_runs_job_is_dropped_unheld(desk: Desk, peer: PipecatPeer) -> None:
    """The claim is refused; nobody is called."""
    await desk.run_of(peer, SHORT, 1)
    async with at_work(desk):
        await admit_when_offered(desk, 1)
        await cancel_run(desk.redis, "r")
        await eventually(
            lambda: desk.switchboard._queue.jobs_complete == 1 or bool(peer.bots), "the job is over"
        )
        await desk.switchboard.drain(10)
    assert peer.bots == []
    assert await ask(desk.redis, "ZCARD", QUEUE.at()) == 0
