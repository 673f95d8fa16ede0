"""A plan reads the same from YAML, JSON and its own surface tree."""

from __future__ import annotations

import json
import time

import msgspec

from shared.plan import MeasureThreshold, PassRate
from shared.plan_text import LOCAL_FILE, read_plan, surface
from shared.scenario import (
    AgentNeverSays,
    AgentSays,
    EndedBy,
    HangUp,
    MeasureCheck,
    Play,
    Say,
    SayExactly,
    Silence,
    WaitForAgent,
)
from tests.unit.plan.plans import BOOKING, minimal, small_plan


def test_every_step_form_becomes_its_struct() -> None:
    """One verb key with its modifiers beside it is one Struct per verb."""
    plan = read_plan(BOOKING, where=LOCAL_FILE)
    assert plan.scenarios[0].script == [
        WaitForAgent(),
        Say(text="Hi, a table for {{party}} please."),
        Say(text="At seven, please.", interrupt_after_ms=800),
        WaitForAgent(contains=["seven"]),
        HangUp(),
    ]
    assert plan.scenarios[1].script == [
        SayExactly(text="It is me."),
        Silence(duration_s=0.8),
        Play(clip="door.wav", interrupt_after_ms=100),
        WaitForAgent(),
        HangUp(),
    ]


def test_checks_and_thresholds_become_structs() -> None:
    """A measure's name is a check's verb; a threshold names its measure."""
    plan = read_plan(BOOKING, where=LOCAL_FILE)
    assert plan.scenarios[0].checks == [
        AgentSays(any=["confirmed", "see you"]),
        MeasureCheck(measure="time_to_first_word_ms", max=3000),
    ]
    assert plan.scenarios[1].checks == [
        AgentNeverSays(any=["sorry"]),
        EndedBy(reasons=["caller_hung_up", "agent_hung_up"]),
        MeasureCheck(measure="response_latency_ms", stat="p50", max=1500),
    ]
    assert plan.thresholds == [
        PassRate(min=95),
        MeasureThreshold(measure="response_latency_ms", stat="p95", max=2000),
    ]


def test_json_of_the_surface_reads_as_the_same_plan() -> None:
    """What is submitted is JSON of the surface, from any encoder."""
    plan = read_plan(BOOKING, where=LOCAL_FILE)
    tree = surface(BOOKING)
    assert read_plan(msgspec.json.encode(tree), where=LOCAL_FILE) == plan
    assert read_plan(json.dumps(tree), where=LOCAL_FILE) == plan
    assert read_plan(json.dumps(tree, indent=2).encode(), where=LOCAL_FILE) == plan


def test_json_surrogate_pairs_are_one_character() -> None:
    """An ASCII-only JSON encoder writes an emoji as two escapes."""
    tree = minimal()
    tree["scenarios"][0]["script"] = [{"say": "hello 🎉"}]
    text = json.dumps(tree)
    assert "\\ud83c" in text
    assert read_plan(text).scenarios[0].script == [Say(text="hello 🎉")]


def test_variables_are_filled_in_checks_and_left_in_scripts() -> None:
    """Whoever judges a call compares with finished texts."""
    scenario = {
        "name": "s",
        "variables": {"party": "two", "n": 7},
        "script": [{"say": "for {{party}}"}],
        "checks": [
            {"agent_says": {"any": ["{{ party }} people"], "all": ["table {{n}}"]}},
            {"agent_never_says": {"any": ["not {{party}}"]}},
        ],
    }
    (read,) = small_plan(scenarios=[scenario]).scenarios
    assert read.script == [Say(text="for {{party}}")]
    assert read.checks == [
        AgentSays(any=["two people"], all=["table 7"]),
        AgentNeverSays(any=["not two"]),
    ]


def test_silence_takes_seconds_and_durations() -> None:
    """A number is seconds; ms, s and m are units."""
    for written, duration_s in [(2.5, 2.5), (2, 2.0), ("2s", 2.0), ("800ms", 0.8), ("1.5m", 90.0)]:
        scenario = {"name": "s", "script": [{"silence": written}]}
        assert small_plan(scenarios=[scenario]).scenarios[0].script == [
            Silence(duration_s=duration_s)
        ]


def test_defaults_are_filled_in() -> None:
    """The smallest plan is one call with default limits."""
    plan = small_plan()
    assert plan.call_count == 1
    assert plan.limits.call_s == 180
    assert plan.load.concurrency == 10


def test_session_form_of_the_endpoint_is_accepted() -> None:
    """start_url alone, and with an offer_url that says where the session id stands."""
    start = "https://bots.example/start"
    offer = "https://bots.example/s/{session_id}/offer"
    for endpoint in (
        {"start_url": start, "start_body": {"tier": "${TIER}"}},
        {"start_url": start, "offer_url": offer},
    ):
        agents = [{"name": "a", "smallwebrtc": endpoint}]
        assert small_plan(agents=agents).agents[0].smallwebrtc.start_url == start


def test_a_full_size_plan_reads_in_seconds() -> None:
    """Two megabytes of text are within the bounds and take no noticeable time."""
    tree = minimal()
    step = {"say": "word " * 40}
    tree["scenarios"] = [{"name": f"s{at}", "script": [step] * 80} for at in range(90)]
    text = json.dumps(tree, indent=0)
    assert 1_000_000 < len(text) < 2_000_000
    began = time.monotonic()
    assert len(read_plan(text).scenarios) == 90
    assert time.monotonic() - began < 10
