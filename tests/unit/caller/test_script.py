"""The script as a persona plays it: variables, fillers, chance, and the sounds to prepare."""

from __future__ import annotations

import pytest

from shared.persona import Noise, Persona
from shared.scenario import HangUp, Play, Say, SayExactly, Scenario, Silence
from tests.unit.caller.rehearsal import CALM, hang_up, persona, say, scenario, wait
from worker.caller.script import FILLERS, Await, Leave, Pause, Script, Speech, compile_script
from worker.media.sound import Bed, Sound, Spoken

TALK = scenario(*(step for _ in range(40) for step in (wait(), say("Yes."))))


def spoken(script: Script) -> list[Speech]:
    return [line for line in script.lines if isinstance(line, Speech)]


def test_variables_are_filled_into_texts_and_wanted_words() -> None:
    """Values are spoken as written."""
    plan = scenario(wait("{{party}}"), say("A table for {{party}}."), hang_up(), party=2)
    script = compile_script(plan, CALM, 7)
    assert script.lines[0] == Await(step=0, contains=("2",))
    assert spoken(script)[0].text == "A table for 2."


def test_a_variable_that_is_not_defined_is_refused() -> None:
    """Intake refuses it before; here it is a KeyError."""
    with pytest.raises(KeyError, match="party"):
        compile_script(scenario(say("For {{party}}.")), CALM, 7)


def test_each_line_asks_for_its_sound_in_the_personas_voice() -> None:
    """Voice, speed, pitch, level and noise of the persona."""
    noise = Noise(kind="crowd", snr_db=12)
    who = Persona(
        name="loud",
        voice="de+f3",
        speed=1.2,
        pitch=1.5,
        level_dbfs=-18,
        noise=noise,
        idle_prompts=["Hm?"],
    )
    script = compile_script(
        scenario(say("One."), SayExactly(text="Two."), Play(clip="sha256:ab"), hang_up()), who, 7
    )
    voice = {"voice": "de+f3", "speed": 1.2, "pitch": 1.5, "level_dbfs": -18.0, "noise": noise}
    assert [line.sound for line in spoken(script)] == [
        Spoken(text="One.", **voice),  # type: ignore[arg-type]
        Spoken(text="Two.", **voice),  # type: ignore[arg-type]
        Sound(asset="sha256:ab", level_dbfs=-18.0, noise=noise),
    ]
    assert [prompt.text for prompt in script.idle_prompts] == ["Hm?"]
    assert script.bed == Bed(level_dbfs=-18.0, noise=noise)


def test_every_sound_is_asked_for_once() -> None:
    """Equal lines share a clip; idle prompts and bed are part of it."""
    script = compile_script(scenario(say("Yes."), say("Yes."), say("No."), hang_up()), CALM, 7)
    texts = [getattr(request, "text", None) for request in script.requests()]
    assert texts == ["Yes.", "No.", "Hello? Are you still there?", None]


def test_steps_become_lines_up_to_the_first_hanging_up() -> None:
    """Places in the script are kept; nothing follows the end."""
    plan = scenario(wait(), Silence(duration_s=1.5), HangUp(), say("Never."))
    assert compile_script(plan, CALM, 7).lines == [
        Await(step=0),
        Pause(step=1, duration_ms=1500.0),
        Leave(step=2),
    ]


def test_a_script_without_hanging_up_gets_a_wait_and_an_end() -> None:
    """A wait that stands there already is enough."""
    lines = compile_script(scenario(say("Hi.")), CALM, 7).lines
    assert lines[1:] == [Await(step=1), Leave(step=1)]
    lines = compile_script(scenario(say("Hi."), wait()), CALM, 7).lines
    assert lines[1:] == [Await(step=1), Leave(step=2)]


def test_fillers_open_say_and_never_say_exactly() -> None:
    """Disfluency 1: every `say`, and no other line."""
    plan = scenario(say("One."), SayExactly(text="Two."))
    one, two = spoken(compile_script(plan, persona(disfluency=1.0), 7))
    assert one.text in {f"{filler}One." for filler in FILLERS}
    assert two.text == "Two."


def test_fillers_come_as_often_as_the_persona_says() -> None:
    """Some lines have one, some do not, and each filler occurs."""
    texts = [line.text or "" for line in spoken(compile_script(TALK, persona(disfluency=0.5), 7))]
    fillers = [text.removesuffix("Yes.") for text in texts]
    assert set(fillers) == {"", *FILLERS}


def test_chance_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    """All chance comes from the call's seed."""
    who = persona(disfluency=0.5, interrupts={"probability": 0.5})
    scripts = [compile_script(TALK, who, seed) for seed in (7, 7, 8)]
    assert scripts[0] == scripts[1]
    assert scripts[0].decisions != scripts[2].decisions


def test_one_knob_leaves_the_choices_of_another_alone() -> None:
    """Who interrupts does not depend on who says um."""
    plain = compile_script(TALK, persona(interrupts={"probability": 0.5}), 7)
    fluent = compile_script(TALK, persona(interrupts={"probability": 0.5}, disfluency=1.0), 7)
    cuts = [[line.interrupt_after_ms for line in spoken(script)] for script in (plain, fluent)]
    assert cuts[0] == cuts[1]
    assert {*cuts[0]} == {None, 800}


def test_what_chance_decided_is_written_down() -> None:
    """One decision for each choice, in the order of the script."""
    who = persona(disfluency=1.0, interrupts={"probability": 1.0, "after_ms": 500})
    script = compile_script(Scenario(name="s", script=[wait(), Say(text="Hi.")]), who, 7)
    filler = (spoken(script)[0].text or "").removesuffix(", Hi.")
    assert [(decision.step, decision.what) for decision in script.decisions] == [
        (1, f"disfluency: opens with '{filler}'"),
        (1, "interrupts.probability: interrupts 500 ms into the agent's turn"),
    ]
