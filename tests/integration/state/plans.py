"""Plans and short cuts that the tests of this folder share."""

from __future__ import annotations

import msgspec
from redis.asyncio import Redis

from shared.agent import Agent, SmallWebRTC
from shared.call import EndedReason, Owner, Validity, Verdict
from shared.persona import Persona
from shared.plan import Limits, Load, RunPlan
from shared.scenario import HangUp, Say, Scenario
from shared.state import admission
from shared.state.call_key import CallKey
from shared.state.calls import Outcome, announce_worker, claim
from shared.state.runs import RunRecord, start_run

URL = "http://127.0.0.1:7860/api/offer"


def agent(
    name: str = "bot", url: str = URL, cap: int | None = None, cps: float | None = None
) -> Agent:
    return Agent(
        name=name,
        smallwebrtc=SmallWebRTC(offer_url=url),
        max_concurrent=cap,
        calls_per_second=cps,
    )


def plan(
    calls: int = 10, *, concurrency: int = 100, retries: int = 1, agents: list[Agent] | None = None
) -> RunPlan:
    return RunPlan(
        version=1,
        name="test",
        agents=agents or [agent()],
        scenarios=[Scenario(name="hello", script=[Say(text="Hello."), HangUp()])],
        personas=[Persona(name="calm")],
        repeat=calls,
        load=Load(concurrency=concurrency),
        limits=Limits(retries=retries),
    )


async def start(redis: Redis, run: str, what: RunPlan, *, weight: float = 1.0) -> bool:
    return await start_run(redis, run, what, b"{}", RunRecord(name=what.name), weight=weight)


async def admit(
    redis: Redis, batch: int = 100, *, claim_ms: int = 10_000, park_ms: int = 0
) -> list[CallKey]:
    answer = await admission.admit(redis, batch=batch, claim_ms=claim_ms, park_ms=park_ms)
    return answer.calls


async def slots(redis: Redis, count: int = 1000, worker: str = "w") -> None:
    await announce_worker(redis, worker, count)


async def admit_and_claim(redis: Redis, batch: int = 100) -> list[CallKey]:
    keys = await admit(redis, batch)
    for key in keys:
        assert await claim(redis, key, "w")
    return keys


def passed() -> Outcome:
    return Outcome(
        verdict=Verdict.PASS,
        validity=Validity.VALID,
        ended_reason=EndedReason.CALLER_HUNG_UP,
        failure_owner=None,
        duration_ms=1234.0,
        summary=b'{"agent":"bot"}',
    )


def void() -> Outcome:
    return Outcome(
        verdict=Verdict.NONE,
        validity=Validity.VOID,
        ended_reason=EndedReason.WORKER_LOST,
        failure_owner=Owner.FLEET,
        duration_ms=0.0,
    )


def surface_text(calls: int = 2, *, retries: int = 1, concurrency: int = 100) -> bytes:
    """A plan as it is submitted."""
    return msgspec.json.encode(
        {
            "version": 1,
            "name": "test",
            "agents": [{"name": "bot", "smallwebrtc": {"offer_url": URL}}],
            "scenarios": [{"name": "hello", "script": [{"say": "Hello."}, {"hang_up": {}}]}],
            "personas": [{"name": "calm"}],
            "repeat": calls,
            "load": {"concurrency": concurrency},
            "limits": {"retries": retries},
        }
    )
