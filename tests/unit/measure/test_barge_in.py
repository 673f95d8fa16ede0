"""What happens when one side speaks over the other."""

from __future__ import annotations

import pytest

from tests.unit.measure.dialogue import said
from worker.measure import timing
from worker.measure.segments import Segment
from worker.media.caller_turn import CallerTurn

END_MS = 30_000.0


def interrupt(start_ms: float, end_ms: float) -> CallerTurn:
    return said(start_ms, end_ms, "interrupt", over_agent=True)


def test_stop_time_is_from_the_callers_first_sound_to_the_agents_last() -> None:
    """An agent that yields after 640 ms."""
    found = timing.barge_ins([Segment(1000, 3640)], [interrupt(3000, 4500)], END_MS)
    assert found.stop_ms == [640]
    assert found.ignored == 0


def test_an_agent_that_talks_on_has_ignored_the_caller() -> None:
    """More than two seconds beyond the caller's start; the time is kept all the same."""
    found = timing.barge_ins([Segment(1000, 8000)], [interrupt(3000, 4500)], END_MS)
    assert found.stop_ms == [5000]
    assert found.ignored == 1


def test_a_pause_in_an_ignoring_agents_speech_is_no_stop() -> None:
    """It goes on under the caller's voice after a breath between two sentences."""
    agent = [Segment(1000, 3400), Segment(3750, 8000)]
    assert timing.barge_ins(agent, [interrupt(3000, 4500)], END_MS).stop_ms == [5000]


def test_the_answer_after_a_stop_does_not_lengthen_it() -> None:
    """The agent yields, the caller finishes, the agent answers."""
    agent = [Segment(1000, 3700), Segment(4750, 8000)]
    assert timing.barge_ins(agent, [interrupt(3000, 4400)], END_MS).stop_ms == [700]


def test_a_natural_end_is_not_counted() -> None:
    """Nothing reacts within 150 ms: the agent had finished, and that is told apart."""
    found = timing.barge_ins([Segment(1000, 3150)], [interrupt(3000, 4500)], END_MS)
    assert (found.stop_ms, found.natural_ends) == ([], 1)


def test_a_stop_after_200_ms_is_a_stop() -> None:
    """The quickest reaction there is, measured short by a packet."""
    found = timing.barge_ins([Segment(1000, 3180)], [interrupt(3000, 4500)], END_MS)
    assert (found.stop_ms, found.natural_ends) == ([180], 0)


def test_an_agent_that_had_only_begun_is_not_counted() -> None:
    """Less than 300 ms of speech before the caller came in."""
    assert timing.barge_ins([Segment(2800, 3700)], [interrupt(3000, 4500)], END_MS).stop_ms == []


def test_an_agent_cut_by_the_end_of_the_call_is_not_counted() -> None:
    """When it would have stopped is unknown."""
    assert timing.barge_ins([Segment(1000, 3990)], [interrupt(3000, 3900)], 4000).stop_ms == []


def test_an_agent_that_speaks_into_a_turn_interrupts() -> None:
    """Begun well before the caller's end and heard for more than half a second under it."""
    caller = [said(2000, 5000)]
    assert timing.agent_interruptions([Segment(3000, 6000)], caller) == 1
    assert timing.agent_interruptions([Segment(3000, 3450)], caller) == 0
    assert timing.agent_interruptions([Segment(4600, 6000)], caller) == 0
    assert timing.agent_interruptions([], caller) == 0
    assert timing.agent_interruptions([Segment(3000, 6000)], []) is None


def test_a_caller_that_came_in_first_was_not_interrupted() -> None:
    """The agent's next sentence over a caller that had broken in is the caller's doing."""
    agent = [Segment(500, 2300), Segment(2600, 6000)]
    assert timing.agent_interruptions(agent, [interrupt(2000, 5000)]) is None
    assert timing.agent_interruptions(agent, [said(2000, 5000, over_agent=True)]) == 0


def test_an_interrupted_turn_has_neither_latency_nor_missing_response() -> None:
    """The agent was speaking at its end: there is no gap to measure."""
    turns, caller = [Segment(3000, 6000)], [said(2000, 5000)]
    assert timing.response_latencies(turns, caller) == []
    assert timing.no_responses(turns, caller, END_MS) == 0


def test_overlap_is_the_sum_of_what_both_spoke_at_once() -> None:
    """Pairwise intersections, not the span around them."""
    agent = [Segment(0, 1000), Segment(2000, 3000)]
    assert timing.overlap_ms(agent, [Segment(800, 2300)]) == pytest.approx(500)
    assert timing.overlap_ms(agent, []) is None


def test_silence_counts_between_the_first_speech_and_the_last() -> None:
    """Before and after it, nobody was keeping anybody waiting."""
    agent, caller = [Segment(1000, 2000), Segment(9000, 9500)], [Segment(2500, 5000)]
    assert timing.silences_ms(agent, caller) == [500, 4000]
    assert timing.silences_ms([], []) is None


def test_silence_is_not_broken_by_nested_speech() -> None:
    """A caller's word inside a long agent turn leaves no gap behind."""
    assert timing.silences_ms([Segment(0, 5000)], [Segment(1000, 1500)]) == []


def test_talk_ratio_is_the_agents_share() -> None:
    """Three seconds of four."""
    assert timing.talk_ratio([Segment(0, 3000)], [Segment(4000, 5000)]) == pytest.approx(0.75)
