"""From text to RunPlan: the one way in for every plan, from a file, a command or Redis.

Owns the order (bounded source, surface tree, Structs, secret places, rules) and what an error says
of file and line; refuses to run, expand or fetch anything. Whatever the text, the outcome is a
RunPlan or a PlanError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from shared.agent import Agent, SmallWebRTC
from shared.errors import PlanError
from shared.json_path import Path
from shared.persona import Persona
from shared.plan import Load, RunPlan, Threshold
from shared.plan_rules import PlanSource, check_plan
from shared.plan_shape import Decoder, refusal, shown
from shared.scenario import AgentNeverSays, AgentSays, Check, Scenario, ScriptStep
from shared.secrets import malformed_reference
from shared.step_verbs import read_check, read_step, read_threshold
from shared.surface import Surface
from shared.templates import fill
from shared.yaml_source import read_source

__all__ = [
    "LOCAL_FILE",
    "SUBMITTED",
    "PlanSource",
    "Surface",
    "read_plan",
    "read_tree",
    "surface",
]

LOCAL_FILE = PlanSource.LOCAL_FILE
SUBMITTED = PlanSource.SUBMITTED

_SMALLWEBRTC = "smallwebrtc: {offer_url: http://host:port/api/offer}"
_UNSUPPORTED: Mapping[tuple[type, str], tuple[str, str]] = {
    (Agent, "livekit"): ("livekit agents are not supported by this version", _SMALLWEBRTC),
    (Agent, "daily"): ("daily agents are not supported by this version", _SMALLWEBRTC),
    (Agent, "phone"): ("phone agents are not supported by this version", _SMALLWEBRTC),
    (Scenario, "goal"): (
        "goals, played by a language model, are not supported by this version",
        "a script",
    ),
    (Scenario, "judge"): (
        "judges, played by a language model, are not supported by this version",
        "checks",
    ),
    (Load, "open"): ("open load is not supported by this version", "load: {concurrency: 10}"),
    (Persona, "channel"): ("channel damage is not supported by this version", "noise"),
    (SmallWebRTC, "text_mode"): ("text mode is not supported by this version", "no text_mode"),
}
_DECODER = Decoder(
    readers={ScriptStep: read_step, Check: read_check, Threshold: read_threshold},
    unsupported=_UNSUPPORTED,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SECRET_FIELDS = ("headers", "request_data", "start_body")
_REFERENCES_STAND = "only in headers, request_data, start_body and ICE credentials"


def read_plan(
    text: str | bytes, *, file: str | None = None, where: PlanSource = SUBMITTED
) -> RunPlan:
    """The plan of a YAML or JSON text. Raises PlanError with file, line, path and what is right."""
    return read_tree(surface(text, file), where=where)


def surface(text: str | bytes, file: str | None = None) -> Surface:
    """The tree of a plan's text, for changes (`--set`, `shared.assets`) before it is
    read.

    It is a mapping within the source's bounds; `read_tree` judges the rest. Raises PlanError.
    """
    try:
        source = read_source(text)
        if not isinstance(source.tree, dict):
            right = "a mapping with version, name, agents, scenarios and personas"
            raise refusal((), f"{shown(source.tree)} is not a plan", right)
    except PlanError as error:
        error.file = file
        raise
    return Surface(source.tree, source.lines, file)


def read_tree(
    tree: Mapping[str, Any], *, file: str | None = None, where: PlanSource = SUBMITTED
) -> RunPlan:
    """The plan of a surface tree. Raises PlanError; with lines where the tree is a `Surface`.

    Texts of checks have their variables filled; those of a script are filled by the caller, which
    adds what chance brings.
    """
    try:
        plan: RunPlan = _DECODER.decode(RunPlan, dict(tree), ())
        for path, text in _strings(dict(tree), ()):
            _check_string(path, text)
        check_plan(plan, where)
    except PlanError as error:
        error.file = file
        if isinstance(tree, Surface):
            tree.locate(error)
        raise
    scenarios = [_with_filled_checks(scenario) for scenario in plan.scenarios]
    return msgspec.structs.replace(plan, scenarios=scenarios)


def _with_filled_checks(scenario: Scenario) -> Scenario:
    checks = [_filled_check(check, scenario) for check in scenario.checks]
    return msgspec.structs.replace(scenario, checks=checks)


def _filled_check(check: Check, scenario: Scenario) -> Check:
    match check:
        case AgentSays():
            return AgentSays(any=_filled(check.any, scenario), all=_filled(check.all, scenario))
        case AgentNeverSays():
            return AgentNeverSays(any=_filled(check.any, scenario))
    return check


def _filled(texts: list[str], scenario: Scenario) -> list[str]:
    return [fill(text, scenario.variables) for text in texts]


def _strings(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text of a tree, keys too (at their own path)."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            if "${" in key or _CONTROL.search(key):
                yield (*path, key), key
            yield from _strings(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _strings(item, (*path, at))


def _check_string(path: Path, text: str) -> None:
    if _CONTROL.search(text):
        raise refusal(path, "the text holds a control character")
    if "${" not in text:
        return
    if not _may_hold_secrets(path) or path[-1] == text:
        raise refusal(path, "a secret cannot stand here", _REFERENCES_STAND)
    wrong = malformed_reference(text)
    if wrong is not None:
        raise refusal(path, wrong, "${NAME}, with NAME in capitals, digits and underscores")


def _may_hold_secrets(path: Path) -> bool:
    match path:
        case ("agents", int(), "smallwebrtc", field, _, *_) if field in _SECRET_FIELDS:
            return True
        case ("agents", int(), "smallwebrtc", "ice_servers", int(), "username" | "credential"):
            return True
    return False
