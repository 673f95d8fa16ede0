"""Silence of both sides: prompts, giving up, and agents that never spoke."""

from __future__ import annotations

import pytest

from shared.scenario import Silence
from tests.unit.caller.rehearsal import hang_up, persona, rehearse, say, wait
from worker.caller.events import HangUp
from worker.caller.patience import Patience
from worker.caller.script import Speech
from worker.media.sound import Spoken


def test_the_caller_prompts_after_silence_of_both_sides() -> None:
    """Ten seconds after the last sound of either side."""
    talk = rehearse(say("Hi"), wait(), say("Bye"), hang_up(), agent=[(0, 500), (15000, 16000)])
    assert talk.kinds == ["turn", "idle_prompt", "turn"]
    hi, prompt, bye = talk.times
    assert prompt == hi + 1000 + 10_000
    assert bye == 16_900


def test_the_caller_gives_up_after_unanswered_prompts() -> None:
    """Two prompts, one more silence, then it hangs up."""
    talk = rehearse(wait(), say("Hi"), wait(), hang_up(), agent=[(0, 1000)])
    assert talk.kinds == ["turn", "idle_prompt", "idle_prompt"]
    assert talk.reason == "agent_stopped_answering"
    assert talk.hung_up_ms == talk.times[-1] + 1000 + 10_000


def test_an_answer_gives_the_agent_all_its_prompts_again() -> None:
    """Only prompts in a row without an answer count."""
    talk = rehearse(
        wait(),
        say("A"),
        wait(),
        say("B"),
        wait(),
        hang_up(),
        agent=[(0, 1000), (15_000, 16_000)],
    )
    assert talk.kinds == ["turn", "idle_prompt", "turn", "idle_prompt", "idle_prompt"]


def test_prompts_are_said_in_order_and_then_over_again() -> None:
    """More prompts than texts: the texts go round."""
    who = persona(idle_prompts=["Hello?", "Anyone?"], gives_up_after=3)
    talk = rehearse(wait(), say("A"), wait(), hang_up(), who=who, agent=[(0, 1000)])
    assert talk.texts == ["A", "Hello?", "Anyone?", "Hello?"]


def test_a_caller_without_prompts_hangs_up_at_the_first_long_silence() -> None:
    """There is nothing to leave unanswered."""
    talk = rehearse(
        wait(), say("A"), wait(), hang_up(), who=persona(idle_prompts=[]), agent=[(0, 1000)]
    )
    assert (talk.kinds, talk.reason) == (["turn"], "agent_stopped_answering")


@pytest.mark.parametrize(("prompts", "words"), [(1, "1 unanswered prompt,"), (2, "2 unanswered p")])
def test_giving_up_says_how_many_prompts_were_left_unanswered(prompts: int, words: str) -> None:
    """As a person would count them."""
    hello = Speech(step=0, verb="idle_prompt", sound=Spoken(text="Hello?"))
    patience = Patience(persona(gives_up_after=prompts), [hello], first_audio_s=4.0)
    asked = [patience.ask(10_000.0, agent_has_spoken=True) for _ in range(prompts + 1)]
    assert isinstance(asked[-1], HangUp)
    assert words in asked[-1].detail


def test_a_caller_that_waits_to_interrupt_prompts_as_well() -> None:
    """The turn to interrupt does not come; the answer to the prompt is interrupted."""
    talk = rehearse(
        wait(), say("Hi"), say("Seven", 800), hang_up(), agent=[(0, 1000), (15_000, 19_000)]
    )
    assert talk.kinds == ["turn", "idle_prompt", "interrupt"]
    assert talk.times[-1] == 15_800


def test_an_agent_that_never_speaks_is_given_up_without_prompts() -> None:
    """`first_audio_s` after the connection."""
    talk = rehearse(wait(), say("Hi"), hang_up(), first_audio_s=4.0)
    assert (talk.said, talk.reason, talk.hung_up_ms) == ([], "agent_never_spoke", 4000)


def test_an_agent_that_never_answers_an_opening_has_never_spoken() -> None:
    """`first_audio_s` after the caller's own words when the caller opens."""
    talk = rehearse(say("Hi"), wait(), hang_up(), first_audio_s=4.0)
    assert (talk.kinds, talk.reason) == (["turn"], "agent_never_spoke")
    assert talk.hung_up_ms == 900 + 1000 + 4000


def test_a_silence_of_the_script_is_not_held_against_the_agent() -> None:
    """The agent may have been waiting for the caller: the count starts after it."""
    talk = rehearse(Silence(duration_s=20), wait(), hang_up(), first_audio_s=4.0)
    assert (talk.reason, talk.hung_up_ms) == ("agent_never_spoke", 24_000)


def test_an_agent_that_speaks_on_is_waited_for() -> None:
    """No prompt and no giving up while the agent has the floor."""
    talk = rehearse(wait(), say("Hi"), hang_up(), agent=[(500, 60_000)])
    assert talk.times == [60_900]
