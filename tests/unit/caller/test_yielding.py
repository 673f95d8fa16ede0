"""The agent talks over the caller: how long it goes on, and what becomes of its words."""

from __future__ import annotations

from tests.unit.caller.rehearsal import hang_up, persona, rehearse, say, wait


def test_the_caller_stops_after_the_agent_has_talked_over_it_for_so_long() -> None:
    """Default: one second of continuous speech."""
    talk = rehearse(say("A long story"), hang_up(), agent=[(1500, 5000)], length_ms=4000)
    assert talk.stopped_ms[0] == 2500


def test_an_agent_that_gives_up_earlier_does_not_stop_the_caller() -> None:
    """A backchannel is talked through."""
    talk = rehearse(say("A long story"), hang_up(), agent=[(1500, 2200)], length_ms=4000)
    assert talk.stopped_ms == []
    assert talk.hung_up_ms == 4900


def test_pauses_of_the_agent_start_the_count_again() -> None:
    """Only continuous speech makes the caller yield."""
    talk = rehearse(
        say("A long story"), hang_up(), agent=[(1200, 1900), (2300, 3000)], length_ms=4000
    )
    assert talk.stopped_ms == []


def test_words_of_which_less_than_half_was_out_are_said_once_more() -> None:
    """After the agent's turn, at the usual delay, as an ordinary turn."""
    talk = rehearse(say("A long story"), hang_up(), agent=[(1500, 5000)], length_ms=4000)
    assert talk.times == [900, 5900]
    assert [said.again for said in talk.said] == [False, True]
    assert talk.kinds == ["turn", "turn"]


def test_words_of_which_half_was_out_count_as_said() -> None:
    """The script goes on, once the agent's turn has ended."""
    talk = rehearse(
        say("A long story"), say("Next"), hang_up(), agent=[(3500, 6000)], length_ms=4000
    )
    assert talk.texts == ["A long story", "Next"]
    assert talk.times == [900, 6900]


def test_words_are_repeated_once_only() -> None:
    """An agent that talks over the repetition as well is left to it."""
    talk = rehearse(
        say("A long story"),
        say("Next"),
        hang_up(),
        agent=[(1500, 5000), (6500, 9000)],
        length_ms=4000,
    )
    assert talk.texts == ["A long story", "A long story", "Next"]
    assert talk.times == [900, 5900, 9900]


def test_an_interrupting_caller_yields_after_its_own_start() -> None:
    """The count starts with the caller's first word, not with the agent's turn."""
    talk = rehearse(say("Stop", 800), hang_up(), agent=[(1000, 9000)], length_ms=4000)
    assert talk.times[0] == 1800
    assert talk.stopped_ms[0] == 2800


def test_a_stubborn_caller_never_yields() -> None:
    """`yield_after_ms: null`."""
    talk = rehearse(
        say("A long story"),
        hang_up(),
        agent=[(1500, 9000)],
        length_ms=4000,
        who=persona(yield_after_ms=None),
    )
    assert talk.stopped_ms == []
    assert talk.hung_up_ms == 4900


def test_the_turn_the_caller_yielded_to_answers_the_wait_that_follows() -> None:
    """The agent took the floor with words of its own: no need to wait for others."""
    talk = rehearse(
        say("A long story"), wait(), say("Next"), hang_up(), agent=[(3500, 6000)], length_ms=4000
    )
    assert talk.texts == ["A long story", "Next"]
    assert talk.times == [900, 6900]


def test_an_idle_prompt_that_is_talked_over_is_not_repeated() -> None:
    """The agent is back, which is all that the prompt asked for."""
    talk = rehearse(
        wait(), wait(), say("Good"), hang_up(), agent=[(0, 1000), (11500, 14000)], length_ms=4000
    )
    assert talk.kinds == ["idle_prompt", "turn"]
    assert talk.stopped_ms == [12500]
    assert talk.times[1] == 14900
