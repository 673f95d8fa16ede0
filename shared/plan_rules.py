"""What types cannot say of a plan: names that point nowhere, duplicates, contradictions.

Owns the rules that need more than one field; refuses to look at anything outside the plan (files,
the environment, the network). Each rule yields refusals with the path in the surface form; the
first one in the order of the plan's sections is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any

from shared.assets import asset_hash
from shared.call import EndedReason
from shared.endpoint_rules import endpoint_refusals
from shared.errors import PlanError
from shared.json_path import Path
from shared.persona import Persona
from shared.plan import MeasureThreshold, RunPlan
from shared.plan_shape import refusal, shown, suggestion
from shared.result import STATS, Distribution, Measures
from shared.scenario import (
    AgentNeverSays,
    AgentSays,
    Check,
    EndedBy,
    HangUp,
    MeasureCheck,
    Play,
    Say,
    SayExactly,
    Scenario,
    Silence,
    WaitForAgent,
)
from shared.templates import VARIABLE_NAME, is_malformed, variables_in

MAX_CALLS = 10**12
MAX_LABELS = 50
MAX_LABEL_CHARS = 200

Refusals = Iterator[PlanError]

_REASONS = frozenset(str(reason) for reason in EndedReason)

DISTRIBUTIONS = frozenset(
    name
    for name, default in zip(Measures.__struct_fields__, Measures.__struct_defaults__, strict=True)
    if isinstance(default, Distribution)
)
"""Measures with one value per turn: only these have a `stat` in a call's check."""


class PlanSource(StrEnum):
    """Where a plan is read: it decides how files may be named."""

    LOCAL_FILE = "local_file"
    SUBMITTED = "submitted"


def check_plan(plan: RunPlan, where: PlanSource) -> None:
    """Raises the first refusal as a PlanError without file and line."""
    for rule in _RULES:
        for error in rule(plan, where):
            raise error


def _names(plan: RunPlan, _where: PlanSource) -> Refusals:
    sections: tuple[tuple[str, Sequence[Any]], ...] = (
        ("agents", plan.agents),
        ("personas", plan.personas),
        ("scenarios", plan.scenarios),
    )
    if plan.name != plan.name.strip():
        yield refusal(("name",), "the name has spaces around it")
    for section, items in sections:
        for field in ("name", "id"):
            seen: dict[Any, int] = {}
            for at, item in enumerate(items):
                value = getattr(item, field)
                path = (section, at, field)
                if isinstance(value, str) and (value != value.strip() or not value):
                    yield refusal(path, f"the {field} is empty or has spaces around it")
                if value is not None and seen.setdefault(value, at) != at:
                    yield refusal(
                        path, f"{shown(value)} stands at {section}[{seen[value]}] already"
                    )


def _endpoints(plan: RunPlan, _where: PlanSource) -> Refusals:
    for at, agent in enumerate(plan.agents):
        yield from endpoint_refusals(agent.smallwebrtc, ("agents", at, "smallwebrtc"))


def _personas(plan: RunPlan, where: PlanSource) -> Refusals:
    for at, persona in enumerate(plan.personas):
        yield from _persona(persona, ("personas", at), where)


def _persona(persona: Persona, path: Path, where: PlanSource) -> Refusals:
    if persona.endpoint_ms > persona.reply_delay_ms:
        yield refusal(
            (*path, "endpoint_ms"),
            f"the agent's turn would count as ended ({persona.endpoint_ms} ms) only after "
            f"the reply to it is due ({persona.reply_delay_ms} ms)",
            f"at most reply_delay_ms ({persona.reply_delay_ms}), or a greater reply_delay_ms",
        )
    noise = persona.noise
    if noise is not None and (noise.kind is None) == (noise.clip is None):
        yield refusal((*path, "noise"), "exactly one of kind and clip makes a noise")
    if noise is not None and noise.clip is not None:
        yield from _clip(noise.clip, (*path, "noise", "clip"), where)
    for at, prompt in enumerate(persona.idle_prompts):
        if not prompt.strip():
            yield refusal((*path, "idle_prompts", at), "the text is empty")
        if "{{" in prompt:
            yield refusal(
                (*path, "idle_prompts", at), "variables belong to scenarios", "text without {{ }}"
            )


def _clip(clip: str, path: Path, where: PlanSource) -> Refusals:
    is_hash = clip.startswith("sha256:")
    if where is PlanSource.SUBMITTED and asset_hash(clip) is None:
        yield refusal(
            path,
            f"{shown(clip)} is not an uploaded file",
            "sha256: and 64 hex digits of a file under assets/; a submitted plan holds no paths",
        )
    if where is PlanSource.LOCAL_FILE and (is_hash or not clip.strip()):
        yield refusal(path, f"{shown(clip)} is not a file", "a path from the plan's folder")


def _scenarios(plan: RunPlan, where: PlanSource) -> Refusals:
    for at, scenario in enumerate(plan.scenarios):
        path = ("scenarios", at)
        yield from _variables(scenario, path)
        yield from _filled_texts(scenario, path)
        yield from _script(scenario, path, where)
        for check_at, check in enumerate(scenario.checks):
            yield from _check(check, (*path, "checks", check_at))
        silent_s = sum(step.duration_s for step in scenario.script if isinstance(step, Silence))
        if silent_s >= plan.limits.call_s:
            yield refusal(
                (*path, "script"),
                f"the script is silent for {silent_s:g} s of the call's {plan.limits.call_s:g} s",
                "less silence, or a greater limits.call_s",
            )


def _variables(scenario: Scenario, path: Path) -> Refusals:
    for name in scenario.variables:
        if not VARIABLE_NAME.fullmatch(name):
            yield refusal(
                (*path, "variables", name), "not a variable's name", "letters, digits, underscores"
            )
    told: set[str] = set()
    for at, name in enumerate(scenario.tell_agent):
        place = (*path, "tell_agent", at)
        if name not in scenario.variables:
            right = suggestion(name, scenario.variables)
            yield refusal(place, f"there is no variable {shown(name)} in this scenario", right)
        if name in told:
            yield refusal(place, f"{shown(name)} stands here twice")
        told.add(name)


def _filled_texts(scenario: Scenario, path: Path) -> Refusals:
    for place, text in _texts(scenario, path):
        if not text.strip():
            yield refusal(place, "the text is empty")
        if is_malformed(text):
            yield refusal(place, "a {{ or }} that holds no variable's name", "{{name}}")
        for name in sorted(variables_in(text)):
            if name in scenario.variables:
                continue
            right = suggestion(name, scenario.variables)
            yield refusal(place, f"the variable {name} is not defined in this scenario", right)


def _texts(scenario: Scenario, path: Path) -> Iterator[tuple[Path, str]]:
    """Texts in which variables are filled."""
    for at, step in enumerate(scenario.script):
        place = (*path, "script", at)
        if isinstance(step, (Say, SayExactly)):
            yield (*place, "say" if isinstance(step, Say) else "say_exactly"), step.text
        elif isinstance(step, WaitForAgent):
            for word_at, word in enumerate(step.contains):
                yield (*place, "wait_for_agent", "contains", word_at), word
    for at, check in enumerate(scenario.checks):
        if isinstance(check, (AgentSays, AgentNeverSays)):
            verb = "agent_says" if isinstance(check, AgentSays) else "agent_never_says"
            lists = {"any": check.any, "all": check.all if isinstance(check, AgentSays) else []}
            for field, texts in lists.items():
                for text_at, text in enumerate(texts):
                    yield (*path, "checks", at, verb, field, text_at), text


def _script(scenario: Scenario, path: Path, where: PlanSource) -> Refusals:
    last = len(scenario.script) - 1
    for at, step in enumerate(scenario.script):
        place = (*path, "script", at)
        if isinstance(step, HangUp) and at < last:
            yield refusal(
                (*path, "script", at + 1),
                "this step never runs: the caller has hung up",
                "hang_up as the last step",
            )
        if isinstance(step, Play):
            yield from _clip(step.clip, (*place, "play"), where)


def _told_twice(plan: RunPlan, _where: PlanSource) -> Refusals:
    owners: dict[str, str] = {}
    for agent in plan.agents:
        for name in (*agent.smallwebrtc.request_data, *agent.smallwebrtc.start_body):
            owners.setdefault(name, agent.name)
    for at, scenario in enumerate(plan.scenarios):
        for name_at, name in enumerate(scenario.tell_agent):
            if name in owners:
                yield refusal(
                    ("scenarios", at, "tell_agent", name_at),
                    f"the endpoint of agent {shown(owners[name])} sends its own {shown(name)}",
                    "another name for one of the two",
                )


def _check(check: Check, path: Path) -> Refusals:
    if isinstance(check, AgentSays) and not check.any and not check.all:
        yield refusal((*path, "agent_says"), "nothing to look for", "any: [texts] or all: [texts]")
    if isinstance(check, AgentNeverSays) and not check.any:
        yield refusal((*path, "agent_never_says"), "nothing to look for", "any: [texts]")
    if isinstance(check, EndedBy):
        place = (*path, "ended", "reasons")
        if not check.reasons:
            yield refusal(place, "no reason is given", "reasons: [caller_hung_up]")
        for at, reason in enumerate(check.reasons):
            if reason not in _REASONS:
                right = suggestion(reason, _REASONS)
                yield refusal((*place, at), f"there is no ended reason {shown(reason)}", right)
    if isinstance(check, MeasureCheck):
        place = (*path, check.measure)
        yield from _bounds(check, place)
        if check.stat is not None and check.measure not in DISTRIBUTIONS:
            yield refusal(
                (*place, "stat"),
                f"{check.measure} is one value per call",
                f"no stat; those with one value per turn: {', '.join(sorted(DISTRIBUTIONS))}",
            )


def _bounds(bounds: MeasureCheck | MeasureThreshold, path: Path) -> Refusals:
    if bounds.stat is not None and bounds.stat not in STATS:
        right = suggestion(bounds.stat, STATS)
        yield refusal((*path, "stat"), f"there is no statistic {shown(bounds.stat)}", right)
    if bounds.min is None and bounds.max is None:
        yield refusal(path, "there is nothing to compare with", "min, max or both")
    if bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
        yield refusal((*path, "min"), f"min {bounds.min:g} is greater than max {bounds.max:g}")


def _thresholds(plan: RunPlan, _where: PlanSource) -> Refusals:
    rates = 0
    for at, threshold in enumerate(plan.thresholds):
        path = ("thresholds", at)
        if isinstance(threshold, MeasureThreshold):
            if threshold.measure not in Measures.__struct_fields__:
                right = suggestion(threshold.measure, Measures.__struct_fields__)
                name = shown(threshold.measure)
                yield refusal((*path, "measure"), f"there is no measure {name}", right)
            yield from _bounds(threshold, path)
        else:
            rates += 1
            if rates > 1:
                yield refusal((*path, "pass_rate"), "a second pass_rate", "one pass_rate a plan")


def _size(plan: RunPlan, _where: PlanSource) -> Refusals:
    if plan.call_count > MAX_CALLS:
        yield refusal(("repeat",), f"the plan comes to {plan.call_count} calls", f"≤ {MAX_CALLS}")
    if len(plan.labels) > MAX_LABELS:
        yield refusal(("labels",), f"{len(plan.labels)} labels", f"at most {MAX_LABELS}")
    for key, value in plan.labels.items():
        if not key or len(key) > MAX_LABEL_CHARS or len(value) > MAX_LABEL_CHARS:
            right = f"1 to {MAX_LABEL_CHARS} characters"
            yield refusal(("labels", key[:MAX_LABEL_CHARS]), "empty or too long", right)


_RULES: tuple[Callable[[RunPlan, PlanSource], Refusals], ...] = (
    _names,
    _endpoints,
    _personas,
    _scenarios,
    _told_twice,
    _thresholds,
    _size,
)
