"""How long a caller waits for its answer."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.result import Measures
from tests.unit.measure.dialogue import agent_channel, said
from worker.measure.measure import measure_call
from worker.media.caller_turn import CallerTurn

GREETING = (500.0, 1500.0)


def measured(
    *spoken: tuple[float, float], caller: list[CallerTurn], duration_ms: float = 12_000.0
) -> Measures:
    pcm = agent_channel(*spoken, duration_ms=duration_ms)
    return measure_call(pcm, duration_ms, caller).measures


def test_time_to_first_word_is_the_start_of_the_greeting() -> None:
    """The first agent speech after connecting, to 10 ms."""
    found = measured(GREETING, caller=[])
    assert found.time_to_first_word_ms == pytest.approx(500, abs=10)


def test_each_answered_turn_has_its_gap() -> None:
    """Caller's end to agent's start, turn by turn; the greeting is none of them."""
    found = measured(
        GREETING,
        (4800, 6000),
        (8300, 9500),
        caller=[said(2500, 4000), said(7000, 7600)],
    )
    assert found.response_latency_ms.values == pytest.approx([800, 700], abs=10)
    assert found.no_response == 0
    assert found.agent_turns == 3


def test_a_turn_that_the_agent_cut_short_was_not_answered() -> None:
    """A caller that yields at once ends just after the agent's start: no quick reply, no reply."""
    cut = msgspec.structs.replace(said(100, 341), cut=True)
    found = measured((315, 1820), (4300, 5500), caller=[cut, said(2000, 3700)])
    assert found.response_latency_ms.values == pytest.approx([600], abs=10)


@settings(max_examples=15, deadline=None)
@given(
    gap_ms=st.integers(40, 4000),
    length_ms=st.integers(400, 2500),
    noise=st.sampled_from([0.0, 0.0005, 0.002]),
)
def test_any_gap_is_found_to_ten_milliseconds(gap_ms: int, length_ms: int, noise: float) -> None:
    """Whatever the gap, the length of the answer and some noise under the agent's voice."""
    start_ms = 3000.0 + gap_ms
    end_ms = start_ms + length_ms
    pcm = agent_channel(GREETING, (start_ms, end_ms), duration_ms=end_ms + 1000, noise=noise)
    call = measure_call(pcm, end_ms + 1000, [said(2000, 3000)])
    assert call.measures.response_latency_ms.values == pytest.approx([gap_ms], abs=10)
    agent = [turn for turn in call.turns if turn.who == "agent"]
    assert agent[-1].end_ms == pytest.approx(end_ms, abs=10)


def test_an_early_answer_is_negative() -> None:
    """An agent that begins in the caller's last half second has answered early."""
    found = measured(GREETING, (3700, 6000), caller=[said(2500, 4000)])
    assert found.response_latency_ms.values == pytest.approx([-300], abs=10)
    assert found.agent_interruptions == 0


def test_a_short_sound_under_the_callers_voice_is_no_answer() -> None:
    """An "mhm" that is over before the caller is done neither answers nor interrupts."""
    found = measured(GREETING, (3600, 3850), (4900, 6000), caller=[said(2500, 4000)])
    assert found.response_latency_ms.values == pytest.approx([900], abs=10)
    assert found.agent_interruptions == 0


def test_only_the_last_of_several_turns_has_a_latency() -> None:
    """A turn that the caller followed up itself was not answered; the last one was."""
    found = measured(GREETING, (5600, 7000), caller=[said(2500, 3000), said(3500, 5000)])
    assert found.response_latency_ms.values == pytest.approx([600], abs=10)
    assert found.no_response == 0


def test_a_turn_that_needed_a_prompt_had_no_response() -> None:
    """The prompt's own answer gives no latency: it was not the caller's turn that got it."""
    found = measured(
        GREETING,
        (10_000, 11_000),
        caller=[said(2500, 3500), said(8500, 9200, "idle_prompt")],
    )
    assert found.response_latency_ms.n == 0
    assert found.no_response == 1
    assert found.idle_prompts == 1


def test_a_farewell_right_before_hanging_up_is_owed_no_answer() -> None:
    """Less than two seconds after its last word the caller had gone."""
    assert measured(GREETING, caller=[said(2500, 3500)], duration_ms=5400).no_response == 0
    assert measured(GREETING, caller=[said(2500, 3500)], duration_ms=5600).no_response == 1


def test_a_clip_is_a_turn_and_an_interruption_has_no_latency() -> None:
    """What the caller says over the agent is measured by how fast the agent stops."""
    found = measured(
        (500, 4000),
        (6200, 7000),
        (9300, 9900),
        caller=[said(3000, 5000, "interrupt", over_agent=True), said(8000, 8500, "clip")],
    )
    assert found.response_latency_ms.values == pytest.approx([800], abs=10)


def test_the_answers_pauses_do_not_start_new_turns() -> None:
    """Gaps up to 600 ms are inside one turn, longer ones are not."""
    found = measured((500, 1500), (2050, 3000), (3700, 4500), caller=[])
    assert found.agent_turns == 2


def test_a_call_without_speech_has_nothing_measured_on_it() -> None:
    """Absent, never zero."""
    found = measured(caller=[])
    assert found.time_to_first_word_ms is None
    assert found.no_response is None
    assert found.talk_ratio is None
    assert found.longest_silence_ms is None
    assert found.agent_level_dbfs is None
    assert found.agent_turns == 0


def test_an_empty_channel_is_measured_too() -> None:
    """A call that ended before any audio came."""
    call = measure_call(agent_channel(duration_ms=0), 0.0, [])
    assert call.turns == []
