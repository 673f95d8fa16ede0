"""How a call ends from the caller's side, and what the agent's leaving means."""

from __future__ import annotations

import pytest

from shared.scenario import ScriptStep, Silence
from tests.unit.caller.rehearsal import hang_up, rehearse, say, wait


def test_hanging_up_follows_the_callers_own_words_at_once() -> None:
    """`hang_up` does not wait for an answer."""
    talk = rehearse(wait(), say("Bye"), hang_up(), agent=[(0, 1000)])
    assert (talk.reason, talk.hung_up_ms) == ("caller_hung_up", 1900 + 1000)


def test_hanging_up_after_a_wait_happens_when_the_agents_turn_has_ended() -> None:
    """No reply delay before hanging up."""
    talk = rehearse(wait(), hang_up(), agent=[(0, 1000)])
    assert (talk.reason, talk.hung_up_ms) == ("caller_hung_up", 1700)


def test_a_script_without_hang_up_waits_for_the_agents_last_turn() -> None:
    """The answer to the last line is heard to its end."""
    talk = rehearse(wait(), say("Bye"), agent=[(0, 1000)], answers=[(500, 1500)])
    assert (talk.reason, talk.hung_up_ms) == ("caller_hung_up", 2900 + 500 + 1500 + 700)


def test_a_script_that_ends_with_a_wait_does_not_wait_twice() -> None:
    """The last wait is the wait for the end."""
    talk = rehearse(wait(), agent=[(0, 1000)])
    assert (talk.reason, talk.hung_up_ms) == ("caller_hung_up", 1700)


def test_a_script_without_hang_up_gives_up_by_the_rules_of_silence() -> None:
    """No answer to the last line: prompts, then the end."""
    talk = rehearse(wait(), say("Bye"), agent=[(0, 1000)])
    assert talk.reason == "agent_stopped_answering"


def test_steps_after_hanging_up_are_never_reached() -> None:
    """The first `hang_up` ends the script."""
    talk = rehearse(wait(), hang_up(), say("Wait!"), agent=[(0, 1000)])
    assert (talk.said, talk.reason) == ([], "caller_hung_up")


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ([], "agent_hung_up"),
        ([hang_up()], "agent_hung_up"),
        ([wait(), hang_up()], "agent_hung_up"),
        ([Silence(duration_s=60), hang_up()], "agent_hung_up"),
        ([wait(), say("More"), hang_up()], "agent_hung_up_early"),
    ],
)
def test_an_agent_that_leaves_is_early_while_there_is_something_left_to_say(
    rest: list[ScriptStep], reason: str
) -> None:
    """Only waiting and hanging up may remain."""
    before = [wait(), say("Hi"), wait()] if not rest else [wait(), say("Hi"), wait(), *rest]
    talk = rehearse(*before, agent=[(0, 1000)], leaves_ms=5000)
    assert (talk.reason, talk.hung_up_ms) == (reason, 5000)


def test_an_agent_that_leaves_during_the_last_line_is_early() -> None:
    """The line was not said to its end."""
    talk = rehearse(wait(), say("Bye"), hang_up(), agent=[(0, 1000)], leaves_ms=2400)
    assert talk.reason == "agent_hung_up_early"
    assert talk.stopped_ms == [2400]


def test_an_agent_that_leaves_before_a_repetition_is_early() -> None:
    """A line that was cut and is to be said again has not been said."""
    talk = rehearse(say("Long"), hang_up(), agent=[(1000, 9000)], length_ms=4000, leaves_ms=5000)
    assert talk.reason == "agent_hung_up_early"
