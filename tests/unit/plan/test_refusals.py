"""A wrong plan is refused with file, line, path and what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import PlanError
from shared.plan_text import read_plan, surface
from tests.unit.plan.plans import BOOKING, minimal, refused

# The example of the design, whole: what this version lacks is refused one by one.
DESIGN = BOOKING.replace(
    "personas:",
    """\
  - name: booking-livekit
    livekit: {room: {create: {agent_name: booking}}}
personas:""",
).replace(
    "repeat: 20",
    """\
  - name: change-of-mind
    goal: "Book for two, then change to four before the call ends."
    judge: "The agent confirmed a table for four."
repeat: 20""",
)


def _step(step: Any) -> dict[str, Any]:
    tree = minimal()
    tree["scenarios"][0]["script"] = [{"say": "hi"}, step]
    return tree


def _check(check: Any) -> dict[str, Any]:
    tree = minimal()
    tree["scenarios"][0]["checks"] = [check]
    return tree


def test_an_error_names_file_line_path_and_what_is_right() -> None:
    """All four parts, in the message too."""
    text = BOOKING.replace("interrupt_after_ms: 800", "interupt_after_ms: 800")
    error = refused(text, file="booking.yaml")
    assert error.file == "booking.yaml"
    assert error.line == 1 + text[: text.index("interupt")].count("\n")
    assert error.path == "$.scenarios[0].script[2].interupt_after_ms"
    assert error.right == "did you mean interrupt_after_ms?"
    assert str(error).startswith(f"booking.yaml:{error.line}: $.scenarios[0].script[2]")


def test_a_source_error_names_the_file_too() -> None:
    """Text that is no YAML, and YAML that is no plan."""
    for text, message in [("a: [", "not readable"), ("- 1", "is not a plan")]:
        with pytest.raises(PlanError, match=message) as caught:
            surface(text, "plan.yaml")
        assert caught.value.file == "plan.yaml"


def test_a_missing_key_points_at_its_parent() -> None:
    """The line is that of the nearest place that is there."""
    text = BOOKING.replace("  - {name: calm}\n", "  - {speed: 1.2}\n")
    error = refused(text)
    assert (error.path, error.message) == ("$.personas[0]", "name is missing")
    assert error.line == 1 + text[: text.index("{speed")].count("\n")


def test_features_to_come_are_refused_by_name() -> None:
    """At their own path, one after the other as they are taken out."""
    error = refused(DESIGN)
    assert error.message == "livekit agents are not supported by this version"
    assert error.path == "$.agents[1].livekit"
    text = DESIGN.replace("livekit: {room", "smallwebrtc: {offer_url: 'http://a/'} #")
    error = refused(text)
    assert (error.path, "goals" in error.message) == ("$.scenarios[2].goal", True)
    text = text.replace("    goal:", "    script: [hang_up] #")
    error = refused(text)
    assert (error.path, "judges" in error.message) == ("$.scenarios[2].judge", True)
    text = text.replace("    judge:", "    #").replace(
        "{concurrency: 50}", "{open: {start_rate: 0, stages: [{duration: 60s, target: 5}]}}"
    )
    error = refused(text)
    assert (error.path, error.message) == (
        "$.load.open",
        "open load is not supported by this version",
    )


@pytest.mark.parametrize(
    ("step", "path", "words"),
    [
        ({"sya": "hi"}, ".sya", "did you mean say?"),
        ({"dtmf": "1"}, ".dtmf", "dtmf steps are not supported by this version"),
        ({"hold": 3}, ".hold", "hold steps are not supported"),
        ({"say": "a", "play": "b"}, "", "two verbs in one step: say and play"),
        ({"say": "a", "contains": ["b"]}, ".contains", "unknown key 'contains'"),
        ({"say": {"text": "a"}}, ".say", 'say: "text"'),
        ({"say": 42}, ".say", 'say: "text"'),
        ({"say": ""}, ".say", "length >= 1"),
        ({"say": "a", "interrupt_after_ms": -1}, ".interrupt_after_ms", ">= 0"),
        ({"say": "a", "interrupt_after_ms": "soon"}, ".interrupt_after_ms", "a whole number"),
        ({"wait_for_agent": {"contain": ["x"]}}, ".wait_for_agent.contain", "contains?"),
        ({"wait_for_agent": {"contains": "x"}}, ".wait_for_agent.contains", "a list"),
        ({"wait_for_agent": {"contains": [1]}}, ".wait_for_agent.contains[0]", "put it in quotes"),
        ({"wait_for_agent": {}, "contains": []}, ".contains", "cannot stand beside"),
        ({"silence": "2 hours"}, ".silence", "is not a duration"),
        ({"silence": True}, ".silence", "is not a duration"),
        ({"silence": 0}, ".silence", "> 0"),
        ({"silence": "11m"}, ".silence", "<= 600"),
        ({"hang_up": {"now": True}}, ".hang_up.now", "unknown key"),
        ("hang_upp", "", "did you mean hang_up?"),
        ("say", ".say", "nothing is not accepted"),
        ({}, "", "is not a step"),
        ([], "", "is not a step"),
        (None, "", "is not a step"),
        (7, "", "7 is not a step"),
        ({"text": "a"}, ".text", "one of {say:"),
    ],
)
def test_wrong_steps(step: Any, path: str, words: str) -> None:
    """Each has the path of what is wrong and words that help."""
    error = refused(_step(step))
    assert error.path == f"$.scenarios[0].script[1]{path}"
    assert words in str(error)


@pytest.mark.parametrize(
    ("check", "path", "words"),
    [
        ({"agent_say": {"any": ["x"]}}, ".agent_say", "did you mean agent_says?"),
        ({"respons_latency_ms": {"max": 1}}, ".respons_latency_ms", "response_latency_ms?"),
        ({"agent_says": {}}, ".agent_says", "nothing to look for"),
        ({"agent_says": {"any": ["  "]}}, ".agent_says.any[0]", "the text is empty"),
        ({"agent_never_says": {}}, ".agent_never_says", "any is missing"),
        ({"agent_never_says": {"any": []}}, ".agent_never_says", "nothing to look for"),
        ({"ended": {"reasons": ["hung_up"]}}, ".ended.reasons[0]", "agent_hung_up?"),
        ({"ended": {"reasons": []}}, ".ended.reasons", "no reason"),
        ({"talk_ratio": {}}, ".talk_ratio", "min, max or both"),
        ({"talk_ratio": {"min": 2, "max": 1}}, ".talk_ratio.min", "greater than max"),
        ({"talk_ratio": {"max": 1, "stat": "p95"}}, ".talk_ratio.stat", "one value per call"),
        ({"response_latency_ms": {"max": 1, "stat": "p98"}}, ".response_latency_ms.stat", "p9"),
        ({"response_latency_ms": {"measure": "x"}}, ".response_latency_ms.measure", "unknown key"),
        ({"judge": "nice"}, ".judge", "judge checks are not supported"),
        ({"ended": {"reasons": ["cancelled"]}, "talk_ratio": {}}, "", "two verbs"),
    ],
)
def test_wrong_checks(check: Any, path: str, words: str) -> None:
    """Measures, statistics and reasons must exist, and a check must check something."""
    error = refused(_check(check))
    assert error.path == f"$.scenarios[0].checks[0]{path}"
    assert words in str(error)


@pytest.mark.parametrize(
    ("threshold", "path", "words"),
    [
        ({"pass_rate": {"max": 5}}, ".pass_rate.max", "unknown key"),
        ({"pass_rate": {"min": 101}}, ".pass_rate.min", "<= 100"),
        ({"pass_rate": {}}, ".pass_rate", "min is missing"),
        ({"measure": "latency", "max": 1}, ".measure", "there is no measure 'latency'"),
        ({"measure": "talk_ratio"}, "", "min, max or both"),
        ({"measure": "talk_ratio", "stat": "p42", "max": 1}, ".stat", "no statistic 'p42'"),
        ({"measure": "talk_ratio", "pass_rate": {"min": 1}}, "", "two verbs"),
        ({"response_latency_ms": {"max": 1}}, ".response_latency_ms", "{measure:"),
    ],
)
def test_wrong_thresholds(threshold: Any, path: str, words: str) -> None:
    """A threshold is a pass rate or a measure's statistic with a bound."""
    error = refused(minimal() | {"thresholds": [threshold]})
    assert error.path == f"$.thresholds[0]{path}"
    assert words in str(error)


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"version": 2}, "$.version", "one of 1"),
        ({"version": "1"}, "$.version", "1"),
        ({"name": 3}, "$.name", "put it in quotes"),
        ({"name": " x"}, "$.name", "spaces"),
        ({"name": "a\x07b"}, "$.name", "control character"),
        ({"agents": []}, "$.agents", "length >= 1"),
        ({"agents": {}}, "$.agents", "a list"),
        ({"agents": ["x"]}, "$.agents[0]", "needs name, smallwebrtc"),
        ({"repeat": 0}, "$.repeat", ">= 1"),
        ({"repeat": True}, "$.repeat", "a whole number"),
        ({"repeats": 3}, "$.repeats", "did you mean repeat?"),
        ({"load": {"concurrency": 1.5}}, "$.load.concurrency", "a whole number"),
        ({"load": None}, "$.load", "may have concurrency"),
        ({"limits": {"call_s": "3m"}}, "$.limits.call_s", "a number"),
        ({"labels": {"a b": 1}}, '$.labels["a b"]', "put it in quotes"),
        ({"recording": "mp3"}, "$.recording", "opus, wav"),
        ({"recording": "flacc"}, "$.recording", "did you mean flac?"),
        ({"min_valid": 101}, "$.min_valid", "<= 100"),
    ],
)
def test_wrong_types_and_ranges(changes: dict[str, Any], path: str, words: str) -> None:
    """What a key takes is said in words."""
    error = refused(minimal() | changes)
    assert error.path == path
    assert words in str(error)


def test_a_misspelt_key_is_refused_in_every_struct() -> None:
    """No part of a plan takes keys that it does not know, however it is spelt."""
    for line in BOOKING.splitlines():
        word = line.strip().removeprefix("- ").removeprefix("{").split(":")[0]
        if not word.isidentifier() or word in ("party", "tenant", "Authorization"):
            continue
        text = BOOKING.replace(line, line.replace(f"{word}:", f"{word}q:", 1), 1)
        if text != BOOKING:
            assert f"{word}q" in refused(text).path


def test_submitted_plans_hold_no_paths() -> None:
    """Only hashes are accepted from a stream; the default is the strict one."""
    with pytest.raises(PlanError, match="not an uploaded file") as caught:
        read_plan(BOOKING)
    assert caught.value.path == "$.scenarios[1].script[2].play"
    read_plan(BOOKING.replace("door.wav", "sha256:" + "0a" * 32))
