"""Where the agent's speech begins and ends."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.measure.dialogue import agent_channel, decoded, voice
from worker.measure.measure import OPUS_LOOKAHEAD_MS
from worker.measure.segments import Segment, merged_turns, speech_segments


def test_silence_holds_no_speech() -> None:
    """Digital silence, and nothing at all."""
    assert speech_segments(np.zeros(32_000, dtype=np.float32)) == []
    assert speech_segments(np.zeros(0, dtype=np.float32)) == []


@pytest.mark.parametrize("level", [0.001, 0.01, 0.03])
def test_steady_noise_is_no_speech(level: float) -> None:
    """An agent that never speaks may still send its background."""
    assert speech_segments(agent_channel(duration_ms=8000, noise=level)) == []


def test_a_click_is_no_speech() -> None:
    """Sounds shorter than 90 ms."""
    assert speech_segments(agent_channel((2000, 2060), duration_ms=4000)) == []


@pytest.mark.parametrize("samples", [1, 15, 160, 500, 900])
def test_a_sound_of_a_few_samples_is_no_speech(samples: int) -> None:
    """A call may end with its first packet."""
    assert speech_segments(np.full(samples, 0.5, dtype=np.float32)) == []


def test_short_pauses_are_inside_a_segment() -> None:
    """Under 250 ms; a longer one parts two segments."""
    pcm = agent_channel((500, 1500), (1700, 2500), (2900, 3500), duration_ms=5000)
    assert len(speech_segments(pcm)) == 2


def test_a_monologue_without_pauses_is_one_segment() -> None:
    """The floor must not be taken from speech that never stops."""
    (segment,) = speech_segments(agent_channel((0, 20_000), duration_ms=20_100))
    assert segment.length_ms == pytest.approx(20_000, abs=10)


def test_speech_over_noise_keeps_its_edges() -> None:
    """Background 20 dB under the voice moves an edge by a few milliseconds at most."""
    pcm = agent_channel((1000, 2500), duration_ms=6000, noise=0.01)
    (segment,) = speech_segments(pcm)
    assert segment.start_ms - OPUS_LOOKAHEAD_MS == pytest.approx(1000, abs=10)
    assert segment.end_ms - OPUS_LOOKAHEAD_MS == pytest.approx(2500, abs=10)


def test_a_background_that_begins_in_mid_call_is_no_speech() -> None:
    """Ambience switched on after the greeting: the floor is what is heard around each moment."""
    pcm = agent_channel((500, 1500), (9000, 10_500), duration_ms=16_000)
    bed = np.random.default_rng(3).normal(0, 0.012, 13 * 16_000).astype(np.float32)
    pcm[3 * 16_000 :] += bed
    first, second = speech_segments(pcm)
    assert first.start_ms - OPUS_LOOKAHEAD_MS == pytest.approx(500, abs=10)
    assert second.start_ms - OPUS_LOOKAHEAD_MS == pytest.approx(9000, abs=10)
    assert second.end_ms - OPUS_LOOKAHEAD_MS == pytest.approx(10_500, abs=10)


def test_edges_survive_opus() -> None:
    """Decoded speech is late by the encoder's 6.5 ms, and by no more than a few either way."""
    pcm = np.zeros(48_000 * 4, dtype=np.float32)
    sound = np.asarray(soxr.resample(voice(1500), 16_000, 48_000), dtype=np.float32)
    pcm[48_000 : 48_000 + len(sound)] = sound
    (segment,) = speech_segments(decoded(pcm))
    assert segment.start_ms - OPUS_LOOKAHEAD_MS == pytest.approx(1000, abs=5)
    assert segment.end_ms - OPUS_LOOKAHEAD_MS == pytest.approx(2500, abs=15)


@settings(max_examples=25, deadline=None)
@given(
    lengths_ms=st.lists(st.integers(120, 1500), min_size=1, max_size=5),
    gaps_ms=st.lists(st.integers(300, 2000), min_size=5, max_size=5),
    level_dbfs=st.floats(-32, -12),
)
def test_every_stretch_is_found_once_and_in_order(
    lengths_ms: list[int], gaps_ms: list[int], level_dbfs: float
) -> None:
    """Any levels, lengths and gaps that speech may have."""
    parts, expected, at_ms = [], [], 0.0
    for number, (length_ms, gap_ms) in enumerate(zip(lengths_ms, gaps_ms, strict=False)):
        parts += [np.zeros(gap_ms * 16, dtype=np.float32)]
        parts += [voice(length_ms, level_dbfs=level_dbfs, seed=number)]
        expected.append((at_ms + gap_ms, at_ms + gap_ms + length_ms))
        at_ms += gap_ms + length_ms
    found = speech_segments(np.concatenate([*parts, np.zeros(8000, dtype=np.float32)]))
    assert [segment.start_ms for segment in found] == pytest.approx(
        [start for start, _ in expected], abs=10
    )
    assert [segment.end_ms for segment in found] == pytest.approx(
        [end for _, end in expected], abs=10
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3000), st.sampled_from([0.0, 0.003, 0.01, 0.2, 1.0, 2.0])),
        max_size=12,
    ),
    st.integers(0, 200),
)
def test_any_sound_gives_segments_in_order_and_within_it(
    parts: list[tuple[int, float]], odd_samples: int
) -> None:
    """Bursts, beds and silences of any length: never an error, never an overlap."""
    rng = np.random.default_rng(5)
    sounds = [rng.normal(0, rms, length_ms * 16) for length_ms, rms in parts]
    pcm = np.concatenate([*sounds, np.zeros(odd_samples)]).astype(np.float32)
    edges = [edge for found in speech_segments(pcm) for edge in (found.start_ms, found.end_ms)]
    assert edges == sorted(edges)
    assert all(0 <= edge <= len(pcm) / 16 for edge in edges)


def test_turns_merge_over_pauses_unless_the_caller_spoke() -> None:
    """Up to 600 ms between two sentences; a word of the caller in between parts them."""
    agent = [Segment(0, 1000), Segment(1600, 2000), Segment(2601, 3000)]
    assert merged_turns(agent, []) == [Segment(0, 2000), Segment(2601, 3000)]
    assert merged_turns(agent, [Segment(1100, 1300)]) == agent
