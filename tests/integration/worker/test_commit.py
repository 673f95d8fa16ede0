"""From a finished attempt to the call's one result: order, retries, fencing, failing places."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from shared.call import EndedReason, Step, Validity
from shared.result import CallResult, Recording, Winner
from shared.state.call_key import CallKey
from shared.state.calls import hand_back
from shared.state.keys import CALL
from shared.state.redis import ask, connect
from shared.state.runs import read_run
from shared.storage import Storage
from shared.storage_keys import call_key, recording_key, winner_key
from tests.conftest import eventually
from tests.integration.state.conftest import valkey
from tests.integration.state.plans import admit
from tests.integration.worker.calls import claimed, result
from worker.commit import Finished, Ledger


async def state_of(redis: Redis) -> str:
    """The first call's state."""
    return str((await ask(redis, "HGET", CALL.at("r", 0), "state")).decode())


class Watched(Storage):
    """Storage in memory that notes how far the call was at each write."""

    @classmethod
    def over(cls, redis: Redis) -> Watched:
        place = Storage.open("memory://")
        watched = cls(place._store, place.url)
        watched.redis, watched.writes = redis, []
        return watched

    redis: Redis
    writes: list[tuple[str, str]]

    async def put(self, key: str, data: bytes | Path, content_type: str = "") -> None:
        self.writes.append((key, await state_of(self.redis)))
        await super().put(key, data, content_type)


def recorded(finished: CallResult, folder: Path) -> Finished:
    """The result with a recording on disk."""
    path = folder / "recording.opus"
    path.write_bytes(b"OggS...")
    recording = Recording(
        key=f"calls/{finished.index}/{finished.attempt}/recording.opus",
        format="opus",
        duration_ms=2000.0,
        bytes=7,
        sha256="0" * 64,
    )
    return Finished(result=msgspec.structs.replace(finished, recording=recording), recording=path)


async def test_recording_and_result_are_stored_before_the_commit_and_the_marker_after(
    redis: Redis, tmp_path: Path
) -> None:
    """Whatever crashes in between, what Redis calls done is in storage."""
    [key] = await claimed(redis)
    storage = Watched.over(redis)
    assert await Ledger(redis, storage).settle(key, recorded(result(key), tmp_path))
    assert storage.writes == [
        (recording_key("r", 0, 1, "opus"), "running"),
        (call_key("r", 0, 1), "running"),
        (winner_key("r", 0), "done"),
    ]
    assert await storage.get(recording_key("r", 0, 1, "opus")) == b"OggS..."
    marker = msgspec.json.decode(await storage.get(winner_key("r", 0)), type=Winner)
    assert marker.attempt == 1
    status = await read_run(redis, "r")
    assert status is not None
    assert (status.done, status.passed) == (1, 1)


async def test_the_upload_is_a_step_after_the_others(redis: Redis) -> None:
    """Its time counts from the attempt's start, as theirs does."""
    [key] = await claimed(redis)
    storage = Storage.open("memory://")
    await Ledger(redis, storage).settle(key, Finished(result=result(key)))
    stored = msgspec.json.decode(await storage.get(call_key("r", 0, 1)), type=CallResult)
    last = stored.steps[-1]
    assert (last.name, last.outcome, last.started_ms) == (Step.UPLOAD, "ok", 2150.0)


async def test_a_failure_of_ours_goes_back_while_retries_last(redis: Redis) -> None:
    """Nothing of that attempt is stored; the next one is the call's."""
    [key] = await claimed(redis, retries=1)
    storage = Storage.open("memory://")
    ledger = Ledger(redis, storage)
    assert not await ledger.settle(key, Finished(result=result(key, EndedReason.STUDIO_FAILED)))
    assert await storage.keys("runs") == []
    assert await state_of(redis) == "waiting"
    [again] = await admit(redis)
    assert (again.index, again.attempt) == (0, 2)


async def test_a_failure_of_ours_is_the_result_once_retries_are_used_up(redis: Redis) -> None:
    """The call is void, stored and counted: nothing is left hanging."""
    [key] = await claimed(redis, retries=0)
    storage = Storage.open("memory://")
    ledger = Ledger(redis, storage)
    assert await ledger.settle(key, Finished(result=result(key, EndedReason.STUDIO_FAILED)))
    assert await storage.exists(call_key("r", 0, 1))
    status = await read_run(redis, "r")
    assert status is not None
    assert (status.done, status.void) == (1, 1)


async def test_a_drained_call_goes_back_without_using_up_a_retry(redis: Redis) -> None:
    """Stopping a worker is nobody's failure."""
    [key] = await claimed(redis, retries=0)
    ledger = Ledger(redis, Storage.open("memory://"))
    assert not await ledger.settle(key, Finished(result=result(key, EndedReason.DRAINED)))
    assert await state_of(redis) == "waiting"


@pytest.mark.parametrize("validity", Validity)
async def test_an_agents_failure_is_tried_again_only_where_we_spoiled_the_call(
    redis: Redis, validity: Validity
) -> None:
    """An agent that never spoke is a finding, unless our own packets left late."""
    [key] = await claimed(redis)
    finding = result(key, EndedReason.AGENT_NEVER_SPOKE)
    finding = msgspec.structs.replace(finding, validity=validity)
    settled = await Ledger(redis, Storage.open("memory://")).settle(key, Finished(result=finding))
    assert settled is (validity is Validity.VALID)


async def test_a_stale_attempt_is_fenced_off(redis: Redis) -> None:
    """Its result is kept under its own key and marked by nobody."""
    [key] = await claimed(redis)
    assert await hand_back(redis, key, EndedReason.WORKER_LOST, counts=True)
    [again] = await admit(redis)
    storage = Storage.open("memory://")
    assert not await Ledger(redis, storage).settle(key, Finished(result=result(key)))
    assert again.attempt == 2
    assert await storage.keys("runs") == [call_key("r", 0, 1)]
    status = await read_run(redis, "r")
    assert status is not None
    assert status.done == 0


async def test_storage_that_fails_is_tried_again_and_then_said(
    redis: Redis, tmp_path: Path
) -> None:
    """The result says so instead of being lost, and whose failure it is."""
    (tmp_path / "runs").write_bytes(b"a file where a folder has to be")
    ledger = Ledger(redis, Storage.open(f"file://{tmp_path}"))
    [first, second] = await claimed(redis, calls=2, retries=1)
    settled = await asyncio.gather(
        *(ledger.settle(key, Finished(result=result(key))) for key in (first, second))
    )
    assert settled == [False, False]
    for key in await admit(redis):
        assert key.attempt == 2
    status = await read_run(redis, "r")
    assert status is not None
    assert status.done == 0


async def test_storage_that_fails_for_good_voids_the_call(redis: Redis, tmp_path: Path) -> None:
    """Once retries are used up: counted, never passed."""
    (tmp_path / "runs").write_bytes(b"a file where a folder has to be")
    ledger = Ledger(redis, Storage.open(f"file://{tmp_path}"))
    [key] = await claimed(redis, retries=0)
    assert await ledger.settle(key, Finished(result=result(key)))
    status = await read_run(redis, "r")
    assert status is not None
    assert (status.passed, status.void) == (0, 1)
    assert status.ended_reasons == {"storage_failed": 1}


async def test_an_absence_of_redis_loses_no_result(tmp_path: Path) -> None:
    """Committing and handing back are asked again until Redis is there."""
    with valkey(tmp_path) as (url, process), capture_logs() as logs:
        redis = connect(url)
        good, bad = await claimed(redis, calls=2)
        ledger = Ledger(redis, Storage.open("memory://"))
        process.kill()
        process.wait(10)
        results = (result(good), result(bad, EndedReason.STUDIO_FAILED))
        settling = asyncio.gather(
            *(
                ledger.settle(CallKey(one.run, one.index, one.attempt), Finished(result=one))
                for one in results
            )
        )
        await eventually(
            lambda: [entry["event"] for entry in logs].count("settling_put_off") == 2,
            "both have met the absence",
        )
        with valkey(tmp_path):
            assert await settling == [True, False]
            status = await read_run(redis, "r")
            assert status is not None
            assert (status.passed, status.waiting) == (1, 1)
            await redis.aclose()
