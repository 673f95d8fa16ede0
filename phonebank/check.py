"""`phonebank check PLAN`: a dry run. Owns the estimate; starts nothing and reaches for no fleet."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.table import Table

from phonebank.exit_codes import ExitCode
from phonebank.options import option
from phonebank.plan_file import Changes, ready_plan
from phonebank.report import Speaker
from phonebank.selection import selection_from
from shared.agent import Agent
from shared.persona import Persona
from shared.plan import RunPlan
from shared.scenario import Play, Say, SayExactly, Scenario, Silence, WaitForAgent

WORDS_PER_S = 160 / 60
"""Of a persona at speed 1."""
AGENT_TURN_S = 4.0
"""A guess at an agent's turn and the pause before it."""
CLIP_S = 3.0
SET_UP_S = 1.5


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan will take, as far as it can be known without calling."""

    calls: int
    calls_per_agent: int
    slots: int
    """Calls at the same time."""
    call_s: float
    """Mean length of a call."""
    minutes: float


def estimate(plan: RunPlan) -> Estimate:
    """Lengths of utterances from their words, of agent turns from a guess; retries left out."""
    pairs = [(scenario, persona) for scenario in plan.scenarios for persona in plan.personas]
    lengths = [_call_s(scenario, persona) for scenario, persona in pairs]
    call_s = min(sum(lengths) / len(lengths), plan.limits.call_s)
    widths = [_width(agent, plan) for agent in plan.agents]
    slots = min(plan.load.concurrency, plan.call_count, sum(widths))
    lanes_s = [
        _lane_s(agent, plan, call_s, width)
        for agent, width in zip(plan.agents, widths, strict=True)
    ]
    seconds = max(plan.call_count * call_s / slots, *lanes_s, *lengths)
    return Estimate(
        calls=plan.call_count,
        calls_per_agent=plan.calls_per_lane,
        slots=slots,
        call_s=call_s,
        minutes=seconds / 60,
    )


def _width(agent: Agent, plan: RunPlan) -> int:
    return min(agent.max_concurrent or plan.load.concurrency, plan.calls_per_lane)


def _lane_s(agent: Agent, plan: RunPlan, call_s: float, width: int) -> float:
    by_width = plan.calls_per_lane * call_s / width
    if agent.calls_per_second is None:
        return by_width
    return max(by_width, plan.calls_per_lane / agent.calls_per_second)


def _call_s(scenario: Scenario, persona: Persona) -> float:
    return SET_UP_S + sum(_step_s(step, persona) for step in scenario.script)


def _step_s(step: object, persona: Persona) -> float:
    match step:
        case Say(text=text) | SayExactly(text=text):
            return len(text.split()) / (WORDS_PER_S * persona.speed) + AGENT_TURN_S
        case Silence(duration_s=duration_s):
            return duration_s
        case Play():
            return CLIP_S + AGENT_TURN_S
        case WaitForAgent():
            return AGENT_TURN_S / 2  # mostly the turn that the step before it already counts
        case _:
            return 0.0


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@option("--only", multiple=True, metavar="scenario=NAME", help=(
    "Count only this scenario (or persona=NAME, agent=NAME); may be repeated."))  # fmt: skip
@option("--set", "set_words", envvar="PHONEBANK_CHECK_SET", multiple=True,
    metavar="path=value", help=(
    "Change one value of the plan; may be repeated."))  # fmt: skip
def check(plan: Path, only: tuple[str, ...], set_words: tuple[str, ...]) -> int:
    """Read PLAN and say what it would do, without calling anybody.

    Exit code 2 when the plan is wrong.
    """
    ready = ready_plan(plan, Changes(set_words=set_words, only=selection_from(only)))
    found = estimate(ready.plan)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    agents = len(ready.plan.agents)
    each = f" ({found.calls_per_agent} with each of {agents} agents)" if agents > 1 else ""
    table.add_row("plan", ready.plan.name)
    table.add_row("calls", f"{found.calls}{each}")
    table.add_row("slots", f"{found.slots} at the same time")
    table.add_row("minutes", f"about {found.minutes:.1f}, at {found.call_s:.0f} s a call")
    table.add_row("secrets", ", ".join(sorted(ready.secrets)) or "none")
    table.add_row("files", str(len(ready.assets)) if ready.assets else "none")
    Speaker(highlight=False).print(table)
    return ExitCode.PASSED
