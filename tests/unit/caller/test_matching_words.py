"""`contains`: the words of the agent's turn, wherever their report falls in time."""

from __future__ import annotations

from tests.unit.caller.rehearsal import Rehearsal, hang_up, persona, rehearse, say, wait
from worker.caller.events import AgentText


def outcome(talk: Rehearsal) -> list[str]:
    return [check.outcome for check in talk.turns.checks()]


def test_words_of_the_turn_pass_without_regard_to_case() -> None:
    """At least one of the words has to be there."""
    talk = rehearse(
        wait("seven", "eight"), hang_up(), agent=[(0, 1000)], texts=[(500, "At SEVEN o'clock.")]
    )
    (check,) = talk.turns.checks()
    assert (check.name, check.outcome) == ("script[0] wait_for_agent contains", "pass")
    assert check.detail == "the agent said 'seven'"


def test_other_words_fail() -> None:
    """The detail says what was wanted and what was said."""
    talk = rehearse(wait("seven"), hang_up(), agent=[(0, 1000)], texts=[(500, "Hello.")])
    (check,) = talk.turns.checks()
    assert (check.outcome, check.detail) == ("fail", "none of 'seven' in 'Hello.'")


def test_an_agent_without_text_leaves_no_evidence() -> None:
    """Neither pass nor fail."""
    talk = rehearse(wait("seven"), hang_up(), agent=[(0, 1000)])
    (check,) = talk.turns.checks()
    assert check.outcome == "error"
    assert check.detail == "the agent reports no text, so its words cannot be matched"


def test_words_that_come_in_pieces_are_put_together() -> None:
    """Agents report by sentence or by word."""
    talk = rehearse(
        wait("at seven"), hang_up(), agent=[(0, 1000)], texts=[(300, "At"), (600, "seven.")]
    )
    assert outcome(talk) == ["pass"]


def test_words_that_come_late_still_count_until_the_caller_speaks() -> None:
    """Between the end of the turn and the next line."""
    talk = rehearse(
        wait("seven"), say("Fine"), hang_up(), agent=[(0, 1000)], texts=[(1880, "Seven.")]
    )
    assert outcome(talk) == ["pass"]


def test_words_that_come_after_the_call_still_count_for_the_last_wait() -> None:
    """The call may end with the turn itself."""
    talk = rehearse(wait("seven"), hang_up(), agent=[(0, 1000)])
    talk.turns.handle(AgentText(1900, "Seven."))
    assert outcome(talk) == ["pass"]


def test_words_that_come_before_their_sound_count() -> None:
    """An agent may report its text as soon as it has been written."""
    talk = rehearse(
        wait(),
        say("Hi"),
        wait("seven"),
        hang_up(),
        agent=[(0, 1000)],
        answers=[(800, 1000)],
        texts=[(3300, "Seven.")],
    )
    assert outcome(talk) == ["pass"]


def test_words_of_another_turn_do_not_count() -> None:
    """The greeting does not answer the second wait, nor the answer the first."""
    talk = rehearse(
        wait("seven"),
        say("Hi"),
        wait("hello"),
        hang_up(),
        agent=[(0, 1000)],
        answers=[(800, 1000)],
        texts=[(500, "Hello."), (4000, "Seven.")],
    )
    assert outcome(talk) == ["fail", "fail"]


def test_two_waits_in_a_row_divide_the_words_by_turn() -> None:
    """What was said before the second turn began belongs to the first."""
    talk = rehearse(
        wait("hello"),
        wait("seven"),
        hang_up(),
        agent=[(0, 1000), (3000, 4000)],
        texts=[(500, "Hello."), (3500, "Seven.")],
    )
    assert outcome(talk) == ["pass", "pass"]


def test_a_turn_that_was_never_heard_out_is_judged_by_what_came() -> None:
    """The agent left in the middle of its turn."""
    talk = rehearse(
        wait("seven"), hang_up(), agent=[(0, 9000)], texts=[(500, "Well,")], leaves_ms=2000
    )
    assert outcome(talk) == ["fail"]


def test_a_wait_that_was_never_reached_has_no_evidence() -> None:
    """The agent left before."""
    talk = rehearse(
        wait(),
        say("Hi"),
        wait("seven"),
        hang_up(),
        agent=[(0, 1000)],
        texts=[(500, "Hello.")],
        leaves_ms=1500,
    )
    (check,) = talk.turns.checks()
    assert check.outcome == "error"
    assert "before the script came" in check.detail


def test_a_wait_that_the_persona_skips_has_no_evidence() -> None:
    """`speaks_first: caller` leaves the leading wait out."""
    talk = rehearse(
        wait("hello"),
        say("Hi"),
        hang_up(),
        who=persona(speaks_first="caller"),
        texts=[(100, "Hello.")],
    )
    (check,) = talk.turns.checks()
    assert (check.name, check.outcome) == ("script[0] wait_for_agent contains", "error")
