"""Whatever the text, reading it gives a RunPlan or a PlanError, never a traceback."""

from __future__ import annotations

import copy
import json
import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import PlanError
from shared.json_path import parse
from shared.plan import RunPlan
from shared.plan_text import LOCAL_FILE, read_plan, surface
from tests.unit.plan.plans import BOOKING

_PIECES = [
    *("", " ", "  ", "\n", "\t", ":", ": ", "-", "- ", "?", "? ", "[", "]", "{", "}", ",", "#"),
    *(
        "*",
        "*a",
        "&a ",
        "!",
        "!!",
        "|",
        ">",
        "'",
        '"',
        "%",
        "@",
        "`",
        "~",
        "<<:",
        "---",
        "...",
        "\\",
    ),
    *("${", "${A}", "{{", "}}", "null", "true", ".nan", "1e999", "0", "-1", "9" * 30, "é"),
    *("\x00", "\ud800", "\u2028", "\ufeff", "say", "name:", "livekit: {}", "open: {}", "goal: x"),
]
_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**53, 2**64, 1.5, -0.0, 1e300),
    *("", " ", "x", "hang_up", "say", "{{x}}", "${X}", "${x}", "\x00", "\ud800", "x" * 3000),
    *("sha256:" + "0" * 64, [], [[]], [None], {}, {"": 1}, {"name": "x"}, {"say": "x"}),
    *({"say": None}, {"x": {"y": [1]}}, ["x", 1, {}]),
]


def outcome(text: str | bytes) -> RunPlan | PlanError:
    """What reading comes to; anything but a plan or a PlanError fails the test."""
    try:
        return read_plan(text, file="f.yaml", where=LOCAL_FILE)
    except PlanError as error:
        found = error
    assert found.file == "f.yaml"
    assert found.message
    parse(found.path)
    str(found).encode()
    return found


def test_mutated_text() -> None:
    """Plans with pieces put in, taken out, or moved."""
    chance = random.Random(3)
    plans = 0
    for _ in range(1000):
        text = BOOKING
        for _ in range(chance.choice((1, 1, 1, 2, 5))):
            begin = chance.randrange(len(text))
            end = min(len(text), begin + chance.choice((0, 0, 1, 3, 20)))
            text = text[:begin] + chance.choice(_PIECES) + text[end:]
        plans += isinstance(outcome(text), RunPlan)
    assert 0 < plans < 1000


def test_mutated_trees() -> None:
    """Trees with one or two values replaced, removed or renamed, as JSON."""
    chance = random.Random(5)
    whole = json.dumps(surface(BOOKING))
    for _ in range(1000):
        tree: Any = json.loads(whole)
        for _ in range(chance.choice((1, 2))):
            _mutate(tree, chance)
        outcome(json.dumps(tree, indent=chance.choice((None, 1))))


def _mutate(tree: Any, chance: random.Random) -> None:
    holder = tree
    while True:
        places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not places:
            return
        place = chance.choice(places)
        inner = holder[place]
        if not (isinstance(inner, (dict, list)) and inner) or chance.random() < 0.15:
            break
        holder = inner
    match chance.randrange(4):
        case 0:
            del holder[place]
        case 1 if isinstance(holder, dict):
            holder[chance.choice(("nam", "says", "x y", "", "${A}", "\ud800"))] = holder.pop(place)
        case 2 if isinstance(holder, list):
            holder.append(copy.deepcopy(inner))
        case _:
            holder[place] = copy.deepcopy(chance.choice(_VALUES))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_arbitrary_text(text: str | bytes) -> None:
    """Texts that are no plans at all."""
    assert isinstance(outcome(text), PlanError)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "say", "max", "min", "stat", "kind", "script", "any", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(RunPlan.__struct_fields__)),
    _JSON,
)
def test_arbitrary_sections(section: str, value: Any) -> None:
    """Any JSON in the place of a whole section."""
    tree = dict(surface(BOOKING)) | {section: value}
    outcome(json.dumps(tree))


@pytest.mark.parametrize("hostile", ["${", "${A", "{{", "{{ ", "${A}", "{{a}}", "}}", "a b ", "9"])
def test_long_hostile_texts_are_answered_at_once(hostile: str) -> None:
    """No pattern backtracks and no rule compares everything with everything."""
    text = hostile * (600_000 // len(hostile))
    tree: Any = json.loads(json.dumps(surface(BOOKING)))
    tree["agents"][0]["smallwebrtc"]["headers"]["X"] = text
    tree["agents"][0]["smallwebrtc"]["request_data"]["x"] = text
    tree["scenarios"][1]["checks"][0]["agent_never_says"]["any"] = [text]
    began = time.monotonic()
    outcome(json.dumps(tree))
    outcome(f"name: {text}")
    assert time.monotonic() - began < 5


def test_many_names_are_answered_at_once() -> None:
    """Ten thousand variables, told, used and listed."""
    names = [f"v{at}" for at in range(10_000)]
    tree: Any = json.loads(json.dumps(surface(BOOKING)))
    tree["scenarios"][0] |= {"variables": dict.fromkeys(names, 1), "tell_agent": names}
    said = [f"{{{{{name}}}}}" for name in names]
    tree["scenarios"][0]["checks"] = [{"agent_says": {"any": said}}]
    tree["scenarios"][0]["script"] = [{"say": "hello {{w1}}"}]
    began = time.monotonic()
    found = outcome(json.dumps(tree))
    assert isinstance(found, PlanError)
    assert "w1 is not defined" in found.message
    assert len(str(found)) < 1000
    tree["scenarios"][0]["script"] = [{"say": "hello {{v1}}"}]
    assert isinstance(outcome(json.dumps(tree)), RunPlan)
    assert time.monotonic() - began < 5
