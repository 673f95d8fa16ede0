"""Speaking over the agent, by script and by chance."""

from __future__ import annotations

from shared.scenario import Silence
from tests.unit.caller.rehearsal import hang_up, persona, rehearse, say, wait


def test_an_interruption_starts_so_long_after_the_agents_turn_began() -> None:
    """800 ms into the agent's next turn, over it."""
    talk = rehearse(
        wait(), say("Hi"), say("Seven", 800), hang_up(), agent=[(0, 1000)], answers=[(500, 4000)]
    )
    hi, seven = talk.said
    assert seven.at_ms == hi.at_ms + 1000 + 500 + 800
    assert (seven.kind, seven.over_agent) == ("interrupt", True)


def test_an_interruption_takes_off_the_silence_at_the_head_of_its_clip() -> None:
    """The first word is what comes after 800 ms."""
    talk = rehearse(say("Seven", 800), hang_up(), agent=[(1000, 5000)], lead_ms=40.0)
    assert talk.times == [1760]


def test_a_turn_that_ends_too_early_is_answered_like_any_other() -> None:
    """The line becomes an ordinary turn, and the notes say so."""
    talk = rehearse(say("Seven", 800), hang_up(), agent=[(1000, 1500)])
    assert (talk.times, talk.kinds) == ([2400], ["turn"])
    assert [note.what for note in talk.turns.notes] == [
        "the agent's turn ended after 500 ms: said as an ordinary turn"
    ]


def test_an_interruption_waits_out_a_pause_of_the_agent() -> None:
    """It starts over audible speech: when the agent goes on after the pause."""
    talk = rehearse(say("Seven", 1200), hang_up(), agent=[(1000, 1900), (2400, 5000)])
    assert (talk.times, talk.kinds) == ([2400], ["interrupt"])


def test_a_turn_under_way_is_interrupted_at_once_when_it_is_late_enough() -> None:
    """The current turn counts when it began after the caller's last words."""
    talk = rehearse(
        say("Hi"), Silence(duration_s=2), say("Seven", 800), hang_up(), answers=[(500, 6000)]
    )
    hi, seven = talk.said
    assert seven.at_ms == hi.at_ms + 1000 + 2000
    assert seven.kind == "interrupt"


def test_a_turn_that_was_only_stopping_is_not_interrupted_again() -> None:
    """The second interruption meets the agent's next turn, not the tail of the first."""
    talk = rehearse(
        say("One", 500),
        say("Two", 500),
        hang_up(),
        agent=[(1000, 2800), (4000, 9000)],
        length_ms=1000,
    )
    assert talk.times == [1500, 4500]


def test_a_turn_cut_off_by_the_caller_is_no_answer() -> None:
    """A wait after an interruption waits for what the agent says to it."""
    talk = rehearse(
        say("One", 500), wait(), say("Two"), hang_up(), agent=[(1000, 2800), (4000, 5000)]
    )
    assert talk.times == [1500, 5900]


def test_an_agent_that_ignores_the_interruption_has_kept_the_floor() -> None:
    """Its turn ends long after the caller's words, and that is what the wait waits for."""
    talk = rehearse(
        say("One", 500),
        wait(),
        say("Two"),
        hang_up(),
        agent=[(1000, 6000)],
        who=persona(yield_after_ms=None),
    )
    assert talk.times == [1500, 6900]


def test_chance_turns_a_wait_into_an_interruption() -> None:
    """With certainty, every line after a wait is said over the agent's turn."""
    who = persona(interrupts={"probability": 1.0, "after_ms": 600})
    talk = rehearse(
        wait(),
        say("Hi"),
        wait(),
        say("Bye"),
        hang_up(),
        who=who,
        agent=[(1000, 2000)],
        answers=[(500, 5000)],
    )
    assert talk.kinds == ["interrupt", "interrupt"]
    assert talk.times == [1600, 1600 + 1000 + 500 + 600]


def test_chance_does_not_wait_for_another_turn_when_the_agent_has_answered() -> None:
    """Where the wait would have been done at once, the line is said as a turn."""
    who = persona(interrupts={"probability": 1.0})
    talk = rehearse(
        say("Hi"),
        Silence(duration_s=5),
        wait(),
        say("Bye"),
        hang_up(),
        who=who,
        answers=[(500, 1000)],
    )
    assert talk.kinds == ["turn", "turn"]
    assert talk.times == [900, 900 + 1000 + 5000]


def test_chance_spares_a_wait_that_looks_for_words() -> None:
    """`contains` needs the whole turn."""
    who = persona(interrupts={"probability": 1.0})
    talk = rehearse(wait("hello"), say("Hi"), hang_up(), who=who, agent=[(0, 2000)])
    assert talk.kinds == ["turn"]


def test_chance_spares_the_greeting_that_the_persona_wants_to_hear() -> None:
    """`speaks_first: agent` means that the greeting is heard to its end."""
    who = persona(interrupts={"probability": 1.0}, speaks_first="agent")
    talk = rehearse(wait(), say("Hi"), hang_up(), who=who, agent=[(0, 2000)])
    assert talk.kinds == ["turn"]
