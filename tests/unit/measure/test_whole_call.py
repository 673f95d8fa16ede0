"""A whole call through real Opus, with every measure at once."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from tests.unit.measure.dialogue import decoded, said, voice
from worker.measure.measure import Measured, measure_call

AGENT_MS = [(600, 2100), (5000, 6200), (6550, 8000), (13_200, 14_000), (19_500, 21_900)]
CALLER = [
    said(3000, 4100, text="A table for two."),
    said(9000, 10_000, text="At seven."),
    said(14_900, 15_600, "idle_prompt", text="Hello?"),
    said(21_000, 23_000, "interrupt", over_agent=True, text="Stop."),
]
DURATION_MS = 24_000.0
NEAR_MS = 15


@pytest.fixture(scope="module")
def call() -> Measured:
    pcm = np.zeros(48 * round(DURATION_MS), dtype=np.float32)
    for number, (start_ms, end_ms) in enumerate(AGENT_MS):
        sound = soxr.resample(voice(end_ms - start_ms, seed=number), 16_000, 48_000)
        pcm[start_ms * 48 : start_ms * 48 + len(sound)] = sound
    return measure_call(decoded(pcm), DURATION_MS, list(reversed(CALLER)))


def test_timing_is_that_of_the_dialogue(call: Measured) -> None:
    """Each within 15 ms of what was laid down."""
    found = call.measures
    assert found.time_to_first_word_ms == pytest.approx(600, abs=NEAR_MS)
    assert found.response_latency_ms.values == pytest.approx([900, 3200], abs=NEAR_MS)
    assert found.barge_in_stop_ms.values == pytest.approx([900], abs=NEAR_MS)
    assert found.dead_air_ms.values == pytest.approx([3200, 3900], abs=NEAR_MS)
    assert found.longest_silence_ms == pytest.approx(3900, abs=NEAR_MS)
    assert found.overlap_ms == pytest.approx(900, abs=NEAR_MS)


def test_counts_are_those_of_the_dialogue(call: Measured) -> None:
    """The farewell interruption is owed no answer; two sentences are one turn."""
    found = call.measures
    assert found.agent_turns == 4
    assert found.no_response == 0
    assert found.barge_in_ignored == 0
    assert found.agent_interruptions == 0
    assert found.idle_prompts == 1
    agent_ms = sum(end - start for start, end in AGENT_MS)
    caller_ms = sum(turn.end_ms - turn.start_ms for turn in CALLER)
    assert found.talk_ratio == pytest.approx(agent_ms / (agent_ms + caller_ms), abs=0.01)


def test_what_sound_cannot_tell_is_left_open(call: Measured) -> None:
    """The transport knows loss and jitter."""
    assert call.measures.packet_loss_percent is None
    assert call.measures.jitter_ms is None
    assert call.detector


def test_turns_of_both_sides_are_in_order_of_time(call: Measured) -> None:
    """With the caller's exact words, and none invented for the agent."""
    assert [turn.who for turn in call.turns] == [
        "agent", "caller", "agent", "caller", "agent", "caller", "agent", "caller",
    ]  # fmt: skip
    assert [turn.text for turn in call.turns if turn.who == "agent"] == [None] * 4
    first = next(turn for turn in call.turns if turn.who == "caller")
    assert (first.text, first.text_from) == ("A table for two.", "script")
