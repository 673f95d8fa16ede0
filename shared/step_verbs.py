"""Surface forms of steps, checks and thresholds: one verb key with its modifiers beside it.

Owns the verbs; refuses to judge whether a well-formed step makes sense (`shared.plan_rules`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from shared.json_path import Path
from shared.plan import MeasureThreshold, PassRate
from shared.plan_shape import Decoder, refusal, shown, suggestion
from shared.result import Measures
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

MEASURE_NAMES = tuple(Measures.__struct_fields__)


class Verb(msgspec.Struct, frozen=True):
    """`field` takes the verb's own value and the other fields stand beside the verb; with None the
    value is a mapping of all fields.
    """

    struct: type[msgspec.Struct]
    field: str | None
    form: str


STEPS: Mapping[str, Verb] = {
    "say": Verb(Say, "text", 'say: "text"'),
    "say_exactly": Verb(SayExactly, "text", 'say_exactly: "text"'),
    "wait_for_agent": Verb(WaitForAgent, None, "wait_for_agent: {}, or {contains: [words]}"),
    "silence": Verb(Silence, "duration_s", "silence: 2.5 (seconds), 2s or 800ms"),
    "play": Verb(Play, "clip", "play: file.wav"),
    "hang_up": Verb(HangUp, None, "hang_up: {}"),
}
STEPS_TO_COME = ("hold", "dtmf")
CHECKS: Mapping[str, Verb] = {
    "agent_says": Verb(AgentSays, None, "agent_says: {any: [texts], all: [texts]}"),
    "agent_never_says": Verb(AgentNeverSays, None, "agent_never_says: {any: [texts]}"),
    "ended": Verb(EndedBy, None, "ended: {reasons: [caller_hung_up]}"),
}
CHECKS_TO_COME = ("judge", "python", "tool_called")

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def read_step(decoder: Decoder, value: Any, path: Path) -> Any:
    """One script step, as one of `shared.scenario.ScriptStep`. Raises PlanError."""
    if isinstance(value, str) and value in STEPS:
        value = {value: None}  # `- hang_up` reads as `- hang_up:`
    name = _verb(value, STEPS, STEPS_TO_COME, path, "step")
    verb, at = STEPS[name], (*path, name)
    if verb.field is None:
        _refuse_beside(verb, value, name, path)
        return decoder.struct(verb.struct, _body(value[name], verb, at), at)
    fields = {key: item for key, item in value.items() if key != name}
    modifiers = [field for field in verb.struct.__struct_fields__ if field != verb.field]
    decoder.check_keys(verb.struct, fields, path, modifiers)
    own = value[name]
    if verb.field == "duration_s":
        own = _seconds(own, at)
    elif not isinstance(own, str):
        raise refusal(at, f"{shown(own)} is not accepted here", verb.form)
    return decoder.struct(verb.struct, {verb.field: own, **fields}, path, {verb.field: at})


def read_check(decoder: Decoder, value: Any, path: Path) -> Any:
    """One check of a call, as one of `shared.scenario.Check`. Raises PlanError."""
    known = {**CHECKS, **dict.fromkeys(MEASURE_NAMES, _MEASURE)}
    name = _verb(value, known, CHECKS_TO_COME, path, "check")
    verb, at = known[name], (*path, name)
    _refuse_beside(verb, value, name, path)
    body = _body(value[name], verb, at)
    if verb is _MEASURE:
        decoder.check_keys(MeasureCheck, body, at, ("stat", "min", "max"))
        body = {"measure": name, **body}
    return decoder.struct(verb.struct, body, at)


_MEASURE = Verb(MeasureCheck, None, "<measure>: {min, max, stat}")


def read_threshold(decoder: Decoder, value: Any, path: Path) -> Any:
    """One threshold of the run, as one of `shared.plan.Threshold`. Raises PlanError."""
    name = _verb(value, _THRESHOLDS, (), path, "threshold")
    verb, at = _THRESHOLDS[name], (*path, name)
    if verb.field is None:
        _refuse_beside(verb, value, name, path)
        return decoder.struct(verb.struct, _body(value[name], verb, at), at)
    return decoder.struct(verb.struct, value, path)


_THRESHOLDS: Mapping[str, Verb] = {
    "pass_rate": Verb(PassRate, None, "pass_rate: {min: 95}"),
    "measure": Verb(
        MeasureThreshold, "measure", "measure: response_latency_ms, stat: p95, max: 2000"
    ),
}


def _verb(
    value: Any, verbs: Mapping[str, Verb], to_come: tuple[str, ...], path: Path, noun: str
) -> str:
    """The one verb of a surface mapping."""
    forms = list(dict.fromkeys(f"{{{verb.form}}}" for verb in verbs.values()))
    one_of = f"one of {', '.join(forms)}"
    if isinstance(value, str):
        right = suggestion(value, verbs) if _is_near(value, verbs) else one_of
        raise refusal(path, f"{shown(value)} is not a {noun}", right)
    if not isinstance(value, dict) or not value:
        raise refusal(path, f"{shown(value) if value else 'nothing'} is not a {noun}", one_of)
    found: list[str] = [key for key in value if key in verbs]
    if len(found) > 1:
        both = " and ".join(found[:2])
        raise refusal(path, f"two verbs in one {noun}: {both}", f"one {noun} for each")
    if found:
        return found[0]
    first: str = next(iter(value))
    for key in value:
        if key in to_come:
            raise refusal((*path, key), f"{key} {noun}s are not supported by this version", one_of)
        if _is_near(key, verbs):
            first = key
            one_of = suggestion(key, verbs)
            break
    raise refusal((*path, first), f"{shown(first)} is not a {noun}", one_of)


def _is_near(name: str, verbs: Mapping[str, Verb]) -> bool:
    return suggestion(name, verbs).startswith("did you mean")


def _refuse_beside(verb: Verb, value: dict[str, Any], name: str, path: Path) -> None:
    for key in value:
        if key != name:
            raise refusal((*path, key), f"{shown(key)} cannot stand beside {name}", verb.form)


def _body(value: Any, verb: Verb, path: Path) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refusal(path, f"{shown(value)} is not accepted here", verb.form)
    return value


def _seconds(value: Any, path: Path) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise refusal(path, f"{shown(value)} is not a duration", STEPS["silence"].form)
    return round(float(match[1]) * _SECONDS[match[2]], 6)
