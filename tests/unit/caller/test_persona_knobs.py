"""Every knob of a persona that is about time changes the timing, and nothing else decides it."""

from __future__ import annotations

import pytest

from shared.persona import Persona
from tests.unit.caller.rehearsal import CALM, Rehearsal, hang_up, persona, rehearse, say, wait


def long_talk(who: Persona, seed: int = 7) -> Rehearsal:
    """A call in which every timing rule has its moment: a pause, an overlap, and silence."""
    return rehearse(
        wait(),
        say("One"),
        wait(),
        say("Two"),
        wait(),
        say("Three"),
        wait(),
        hang_up(),
        who=who,
        seed=seed,
        agent=[(1000, 2000), (2800, 4000), (5500, 9000), (13_000, 16_000)],
        length_ms=3000,
    )


@pytest.mark.parametrize(
    "knobs",
    [
        {"reply_delay_ms": 1500},
        {"yield_after_ms": None},
        {"yield_after_ms": 400},
        {"idle_after_s": 5},
        {"idle_prompts": []},
        {"gives_up_after": 1},
        {"gives_up_after": 0},
        {"speaks_first": "caller"},
        {"interrupts": {"probability": 1.0}},
        {"interrupts": {"probability": 1.0, "after_ms": 300}},
    ],
    ids=str,
)
def test_every_timing_knob_changes_the_timing(knobs: dict[str, object]) -> None:
    """The same agent, the same seed, one knob turned."""
    calm, turned = long_talk(CALM), long_talk(persona(**knobs))
    assert (turned.times, turned.stopped_ms, turned.hung_up_ms) != (
        calm.times,
        calm.stopped_ms,
        calm.hung_up_ms,
    )


def test_endpointing_decides_when_the_caller_hangs_up_after_the_agents_turn() -> None:
    """`endpoint_ms` of silence end a turn; a reply has a delay of its own."""
    calm = rehearse(wait(), hang_up(), agent=[(0, 1000), (1800, 3000)])
    patient = rehearse(
        wait(), hang_up(), who=persona(endpoint_ms=900), agent=[(0, 1000), (1800, 3000)]
    )
    assert (calm.hung_up_ms, patient.hung_up_ms) == (1700, 3900)


def test_when_to_interrupt_is_a_knob_of_its_own() -> None:
    """`after_ms` moves the interruption."""
    early = long_talk(persona(interrupts={"probability": 1.0, "after_ms": 300}))
    late = long_talk(persona(interrupts={"probability": 1.0, "after_ms": 900}))
    assert late.times[0] == early.times[0] + 600


def test_the_agent_that_speaks_first_delays_a_script_that_opens() -> None:
    """`speaks_first: agent` shows where the script would open by itself."""
    opens = rehearse(say("Hi"), hang_up(), agent=[(2000, 3000)])
    hears = rehearse(say("Hi"), hang_up(), who=persona(speaks_first="agent"), agent=[(2000, 3000)])
    assert (opens.times, hears.times) == ([900], [3900])


def test_the_text_of_an_idle_prompt_changes_what_is_said() -> None:
    """Words, not timing."""
    assert "Hm?" in long_talk(persona(idle_prompts=["Hm?"])).texts


def test_the_same_seed_and_agent_give_the_same_call() -> None:
    """Decisions, times and words are repeatable to the frame."""
    who = persona(disfluency=0.5, interrupts={"probability": 0.5})
    one, two = long_talk(who), long_talk(who)
    assert one.turns.decisions == two.turns.decisions
    assert one.said == two.said
    assert one.hung_up_ms == two.hung_up_ms


def test_decisions_are_the_same_however_late_the_agent_is() -> None:
    """Prompts and yields are the agent's doing: they stay out of the decisions."""
    prompt = rehearse(
        wait(), say("A"), wait(), say("B"), hang_up(), agent=[(0, 1000)], answers=[(500, 1000)]
    )
    slow = rehearse(
        wait(), say("A"), wait(), say("B"), hang_up(), agent=[(0, 1000)], answers=[(12_000, 1000)]
    )
    assert "idle_prompt" in slow.kinds
    assert prompt.turns.decisions == slow.turns.decisions
    assert [decision.what for decision in slow.turns.decisions] == ["say", "say"]
    assert all(decision.clip is not None for decision in slow.turns.decisions)
