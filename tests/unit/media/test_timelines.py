"""The timeline: frames of both sides on the call's clock, to the sample."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.unit.media.conftest import FRAME_NS, sent_by, silence, tone
from worker.media.loudness import Pcm
from worker.media.opus import LOOKAHEAD_SAMPLES, encode_packets
from worker.media.spool import SentPacket, Spool
from worker.media.timeline import Timeline
from worker.transports.transport import ReceivedPacket

START_NS = 9_000_000_000


def _timeline(received: list[ReceivedPacket], duration_ms: int) -> Timeline:
    end_ns = START_NS + duration_ms * 1_000_000
    return Timeline.of(Spool([], received, torn=False), START_NS, end_ns)


def _loud_from_ms(pcm: Pcm) -> float:
    return float(np.flatnonzero(np.abs(pcm) > 0.02)[0]) / 16


def test_the_agents_sound_lies_at_its_arrival_to_the_sample() -> None:
    """A tone 300 ms into a stream that arrived at 123 ms; 6.5 ms of Opus are inside."""
    packets = encode_packets(np.concatenate([silence(0.3), tone(0.5)]))
    timeline = _timeline(sent_by(packets, first_ns=START_NS + 123_000_000), 1000)
    pcm = timeline.agent_pcm()
    assert len(pcm) == 16_000
    assert pcm.dtype == np.float32
    assert _loud_from_ms(pcm) == pytest.approx(123 + 300 + LOOKAHEAD_SAMPLES / 48, abs=1.0)


def test_reordering_and_duplicates_change_nothing() -> None:
    """The same packets in another order, some of them twice, make the same sound."""
    packets = sent_by(encode_packets(tone(1.0)), first_ns=START_NS)
    shuffled = list(packets)
    chance = random.Random(3)
    for at in range(1, len(shuffled) - 1, 5):
        shuffled[at], shuffled[at + 1] = shuffled[at + 1], shuffled[at]
    shuffled += chance.sample(packets, 10)
    straight, mixed = _timeline(packets, 1000), _timeline(shuffled, 1000)
    assert np.array_equal(straight.agent_samples, mixed.agent_samples)


def test_lost_packets_are_silence_of_their_length() -> None:
    """What follows a hole lies where it would have been without it."""
    packets = sent_by(encode_packets(tone(1.0)), first_ns=START_NS)
    whole = _timeline(packets, 1000).agent_samples
    holed = _timeline(packets[:20] + packets[25:], 1000).agent_samples
    assert not holed[20 * 960 : 25 * 960].any()
    assert np.array_equal(holed[: 20 * 960], whole[: 20 * 960])
    later = slice(30 * 960, None)
    assert np.corrcoef(holed[later], whole[later])[0, 1] > 0.99


def test_a_reply_after_a_stall_lies_at_its_own_arrival() -> None:
    """A late stretch of silence, laid down first, gives way to words that came on time."""
    quiet = encode_packets(silence(2.0))
    spoken = encode_packets(tone(0.5))
    early = sent_by(quiet[:25], first_ns=START_NS)
    stalled_ns = START_NS + 25 * FRAME_NS + 900_000_000
    stalled = sent_by(quiet[25:70], first_ns=stalled_ns, step_ns=0, sequence=25, timestamp=25 * 960)
    steady = sent_by(quiet[70:90], first_ns=stalled_ns, sequence=70, timestamp=70 * 960)
    reply_ns = stalled_ns + 20 * FRAME_NS
    reply = sent_by(spoken, first_ns=reply_ns, sequence=90, timestamp=90 * 960)
    timeline = _timeline([*early, *stalled, *steady, *reply], 4000)
    expected_ms = (reply_ns - START_NS) / 1e6 + LOOKAHEAD_SAMPLES / 48
    assert _loud_from_ms(timeline.agent_pcm()) == pytest.approx(expected_ms, abs=1.0)


def test_the_caller_lies_on_the_tickers_schedule() -> None:
    """Frames lie at their due time, however late they left."""
    sent = [
        SentPacket(k, START_NS + 3_000_000 + k * FRAME_NS, START_NS + 90_000_000 * k, b"\x68", 0)
        for k in (0, 1, 5)
    ]
    timeline = Timeline.of(Spool(sent, [], torn=False), START_NS, START_NS + FRAME_NS * 10)
    assert [frame.at_ns for frame in timeline.caller] == [3_000_000, 23_000_000, 103_000_000]
    assert (timeline.duration_ms, timeline.slots) == (200.0, 10)


def test_a_call_that_ends_before_it_begins_is_refused() -> None:
    """Times in the wrong order are a defect of the caller of this."""
    with pytest.raises(ValueError, match="ended before"):
        Timeline.of(Spool([], [], torn=False), 5, 4)
