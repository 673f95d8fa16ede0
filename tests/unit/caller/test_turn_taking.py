"""Who speaks when: waits, replies, silences and the constant delay between them."""

from __future__ import annotations

import pytest

from shared.scenario import Play, SayExactly, Silence
from tests.unit.caller.rehearsal import (
    CALM,
    clips_for,
    hang_up,
    persona,
    rehearse,
    say,
    scenario,
    wait,
)
from worker.caller.events import AgentStarted, AgentStopped, Connected, State, Tick
from worker.caller.script import compile_script
from worker.caller.turns import Turns


def test_a_reply_starts_at_a_constant_delay_after_the_agents_last_sound() -> None:
    """The first word comes reply_delay_ms after the agent's last audible audio."""
    talk = rehearse(wait(), say("Hi"), hang_up(), agent=[(500, 2000)])
    assert talk.times == [2900]
    assert talk.kinds == ["turn"]


def test_the_silence_at_the_head_of_a_clip_is_taken_off_its_start() -> None:
    """The delay is to the first audible word, not to the first packet."""
    talk = rehearse(wait(), say("Hi"), hang_up(), agent=[(500, 2000)], lead_ms=100.0)
    assert talk.times == [2800]


def test_a_pause_shorter_than_endpointing_does_not_end_the_agents_turn() -> None:
    """The reply is held until the agent's turn has ended for good."""
    talk = rehearse(wait(), say("Hi"), hang_up(), agent=[(500, 2000), (2600, 3600)])
    assert talk.times == [4500]


def test_an_agent_that_resumes_before_the_first_packet_has_the_floor_again() -> None:
    """After endpointing, before the reply: the caller falls back to listening."""
    talk = rehearse(wait(), say("Hi"), hang_up(), agent=[(500, 2000), (2800, 4000)])
    assert talk.times == [4900]


def test_a_wait_is_done_at_once_when_the_agent_has_answered_already() -> None:
    """A turn that ended during a silence of the script is not waited for again."""
    talk = rehearse(
        say("Hi"), Silence(duration_s=5), wait(), say("Bye"), hang_up(), answers=[(500, 1000)]
    )
    first, second = talk.times
    assert second == first + 1000 + 5000


def test_each_turn_of_the_agent_does_for_one_wait() -> None:
    """Two waits in a row are two turns of the agent."""
    talk = rehearse(wait(), wait(), say("Hi"), hang_up(), agent=[(500, 1000), (3000, 4000)])
    assert talk.times == [4900]


def test_a_line_after_the_callers_own_words_waits_for_the_reply_delay() -> None:
    """Two lines in a row are said with the same delay between them while the agent is silent."""
    talk = rehearse(say("One"), say("Two"), hang_up())
    assert talk.times == [900, 900 + 1000 + 900]


def test_a_line_after_the_callers_own_words_waits_for_an_agent_that_speaks() -> None:
    """The agent took the floor in between, so the second line follows its turn."""
    talk = rehearse(say("One"), say("Two"), hang_up(), answers=[(500, 1500)])
    assert talk.times == [900, 900 + 1000 + 500 + 1500 + 900]


def test_a_silence_is_kept_whatever_the_agent_does() -> None:
    """Nothing is said during it, and the next line starts with its end."""
    talk = rehearse(
        wait(),
        Silence(duration_s=30),
        say("Still here"),
        hang_up(),
        agent=[(0, 1000), (9000, 10000)],
    )
    assert talk.times == [1700 + 30_000]


def test_a_silence_that_ends_while_the_agent_speaks_is_followed_by_a_reply() -> None:
    """The floor decides when the line after a silence is said."""
    talk = rehearse(
        wait(), Silence(duration_s=3), say("Yes"), hang_up(), agent=[(0, 1000), (4000, 6000)]
    )
    assert talk.times == [6900]


def test_a_sound_file_is_a_turn_of_the_caller() -> None:
    """`play` keeps the same timing as `say` and is marked as a clip."""
    talk = rehearse(wait(), Play(clip="sha256:ab"), hang_up(), agent=[(500, 2000)])
    assert (talk.times, talk.kinds, talk.texts) == ([2900], ["clip"], [None])


def test_exact_words_are_said_as_written() -> None:
    """`say_exactly` is timed like `say`."""
    talk = rehearse(wait(), SayExactly(text="Seven."), hang_up(), agent=[(500, 2000)])
    assert (talk.times, talk.texts) == ([2900], ["Seven."])


@pytest.mark.parametrize(
    ("first", "begins_ms"), [(None, 900.0), ("caller", 900.0), ("agent", 2900.0)]
)
def test_a_script_that_opens_with_words_is_held_back_when_the_agent_speaks_first(
    first: str | None, begins_ms: float
) -> None:
    """`speaks_first: agent` hears the greeting; otherwise the script decides."""
    talk = rehearse(say("Hi"), hang_up(), who=persona(speaks_first=first), agent=[(1500, 2000)])
    assert talk.times == [begins_ms]


@pytest.mark.parametrize(
    ("first", "begins_ms"), [(None, 5900.0), ("agent", 5900.0), ("caller", 900.0)]
)
def test_a_leading_wait_is_skipped_when_the_caller_speaks_first(
    first: str | None, begins_ms: float
) -> None:
    """`speaks_first: caller` opens the call with the first line."""
    talk = rehearse(
        wait(), say("Hi"), hang_up(), who=persona(speaks_first=first), agent=[(4000, 5000)]
    )
    assert talk.times == [begins_ms]


def test_a_caller_that_opens_lets_an_agent_finish_that_was_faster() -> None:
    """Nobody talks over a greeting by accident."""
    talk = rehearse(
        wait(), say("Hi"), hang_up(), who=persona(speaks_first="caller"), agent=[(400, 2000)]
    )
    assert talk.times == [2900]


def test_the_states_follow_the_table() -> None:
    """Connecting, listening, endpointing, thinking, speaking, in that order."""
    script = compile_script(scenario(wait(), say("Hi")), CALM, 7)
    turns = Turns(script, CALM, 10.0, clips_for(script, 1000))
    seen = [turns.state]
    for event in (
        Connected(0),
        AgentStarted(100),
        AgentStopped(1000),
        Tick(1700),
        Tick(1900),
    ):
        turns.handle(event)
        seen.append(turns.state)
    assert seen == [
        State.CONNECTING,
        State.LISTENING,
        State.LISTENING,
        State.ENDPOINTING,
        State.THINKING,
        State.SPEAKING,
    ]
