"""The dry run."""

from __future__ import annotations

import msgspec
import pytest

from phonebank.check import estimate
from shared.plan import RunPlan
from shared.plan_text import read_plan

PLAN: RunPlan = read_plan(
    """
version: 1
name: estimates
agents: [{name: one, smallwebrtc: {offer_url: "http://127.0.0.1:7/o"}}]
personas: [{name: calm}]
scenarios: [{name: silent, script: [{silence: 58.5s}]}]
repeat: 10
load: {concurrency: 5}
"""
)


def test_minutes_follow_from_calls_length_and_slots() -> None:
    """Ten calls of a minute, five at once: two minutes."""
    found = estimate(PLAN)
    assert (found.calls, found.slots) == (10, 5)
    assert found.call_s == pytest.approx(60)
    assert found.minutes == pytest.approx(2)


def test_an_agents_own_limits_stretch_the_run() -> None:
    """One call at a time, and no more than one in two minutes."""
    agent = PLAN.agents[0]
    narrow = msgspec.structs.replace(agent, max_concurrent=1)
    assert estimate(msgspec.structs.replace(PLAN, agents=[narrow])).slots == 1
    slow = msgspec.structs.replace(agent, calls_per_second=1 / 120)
    assert estimate(msgspec.structs.replace(PLAN, agents=[slow])).minutes == pytest.approx(20)
