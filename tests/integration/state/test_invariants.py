"""Whatever happens in whatever order: limits hold, each call has one result, nothing is left."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from redis.asyncio import Redis

from shared.call import EndedReason
from shared.state.admission import reap
from shared.state.call_key import CallKey
from shared.state.calls import claim, commit, hand_back, renew
from shared.state.keys import ACTIVE, BUSY, ENDPOINT, HELD, LEASES, PARKED, QUEUE
from shared.state.redis import ask
from shared.state.runs import cancel_run, read_run
from tests.integration.state.plans import admit, agent, passed, plan, slots, start, void

CALLS, CONCURRENCY, CAP, SLOTS = 12, 5, 4, 9
RUNS = ("a", "b", "c")
SHARED_URL = "http://127.0.0.1:9/api/offer"


class Chaos:
    """Workers, reapers and a user who do things in a random order, from one seed."""

    def __init__(self, redis: Redis, seed: int) -> None:
        self.redis = redis
        self.chance = random.Random(seed)
        self.admitted: list[CallKey] = []
        self.running: list[CallKey] = []
        self.past: list[CallKey] = []
        self.results: Counter[tuple[str, int]] = Counter()

    async def admit(self) -> None:
        # A deadline or lease of a millisecond has passed by the next step: those are the lost.
        claim_ms = self.chance.choice([1, 60_000, 60_000])
        self.admitted += await admit(self.redis, self.chance.randint(1, 4), claim_ms=claim_ms)

    async def claim(self) -> None:
        key = self._take(self.admitted)
        lease_ms = self.chance.choice([1, 60_000, 60_000])
        if key and await claim(self.redis, key, "w", lease_ms=lease_ms):
            self.running.append(key)

    async def commit(self) -> None:
        key = self._take(self.running)
        if key and await commit(self.redis, key, self.chance.choice([passed, void])()):
            self.results[key.run, key.index] += 1

    async def hand_back(self) -> None:
        key = self._take(self.running)
        if key is None:
            return
        counts = self.chance.random() < 0.5
        if not await hand_back(self.redis, key, EndedReason.STUDIO_FAILED, counts=counts):
            self.running.append(key)

    async def renew(self) -> None:
        await renew(self.redis, "w", self.running, lease_ms=60_000)

    async def reap(self) -> None:
        self.running += [lost.key for lost in (await reap(self.redis)).exhausted]

    async def be_late(self) -> None:
        """Somebody acts on an attempt of long ago: it gets nothing, and changes nothing."""
        if not self.past:
            return
        key = self.chance.choice(self.past)
        if key in self.running or key in self.admitted:
            return
        assert await claim(self.redis, key, "late") is None
        if await commit(self.redis, key, passed()):
            assert self.results[key.run, key.index] == 1, "only the winner may ask again"

    def _take(self, keys: list[CallKey]) -> CallKey | None:
        if not keys:
            return None
        key = keys.pop(self.chance.randrange(len(keys)))
        self.past.append(key)
        return key

    async def check(self) -> None:
        for run in RUNS:
            assert await ask(self.redis, "SCARD", HELD.at(run)) <= CONCURRENCY
        for name in [name async for name in self.redis.scan_iter(ENDPOINT.at("*"))]:
            assert await ask(self.redis, "SCARD", name) <= CAP
        assert await ask(self.redis, "ZCARD", QUEUE.at()) <= SLOTS
        assert max(self.results.values(), default=0) <= 1

    async def finish(self) -> None:
        """Stop misbehaving and let everything come to its end."""
        for _ in range(400):
            await self.reap()
            for key in await admit(self.redis):
                self.admitted.append(key)
            while self.admitted:
                if await claim(self.redis, (key := self.admitted.pop()), "w"):
                    self.running.append(key)
            while self.running:
                await self.commit()
            states = [await read_run(self.redis, run) for run in RUNS]
            if all(state and state.state == "finishing" for state in states):
                return
        raise AssertionError("the runs did not come to their end")


@pytest.mark.parametrize("seed", range(8))
async def test_any_order_of_events_leaves_one_result_per_call(redis: Redis, seed: int) -> None:
    """Three runs on two shared endpoints under lost workers, late claims, retries and a cancel."""
    chaos = Chaos(redis, seed)
    await slots(redis, SLOTS)
    for run in RUNS:
        agents = [agent("x", SHARED_URL, cap=CAP), agent(f"own-{run}", cap=CAP)]
        await start(redis, run, plan(CALLS, concurrency=CONCURRENCY, retries=2, agents=agents))
    acts = [chaos.admit, chaos.claim, chaos.commit, chaos.hand_back]
    acts += [chaos.renew, chaos.reap, chaos.be_late]
    for step in range(150):
        await chaos.chance.choice([*acts, chaos.claim, chaos.commit])()
        await chaos.check()
        if step == 100:
            await cancel_run(redis, "c")
    await chaos.finish()
    for run in ("a", "b"):
        status = await read_run(redis, run)
        assert status is not None
        assert status.done == status.planned == 2 * CALLS
        assert {index: chaos.results[run, index] for index in range(2 * CALLS)} == dict.fromkeys(
            range(2 * CALLS), 1
        )
        assert status.passed + status.void == status.done
    for key in (LEASES, QUEUE, ACTIVE, PARKED):
        assert await ask(redis, "ZCARD", key.at()) == 0, key.name
    assert await ask(redis, "HGETALL", BUSY.at()) in ({}, {b"*": b"0"})
    assert [name async for name in redis.scan_iter(ENDPOINT.at("*"))] == []
    assert [name async for name in redis.scan_iter(HELD.at("*"))] == []
    assert [name async for name in redis.scan_iter("arq:*")] == []
