"""Where the agent's packets land, for every way in which agents send."""

from __future__ import annotations

import random

import pytest

from worker.media.placement import PAUSE_NS, Placement, in_order
from worker.transports.transport import ReceivedPacket

MS = 1_000_000
FRAME_NS = 20 * MS
START_NS = 50_000 * MS


class Stream:
    """An agent's packets on their way to the placement; `loud` ones are audible."""

    def __init__(self, sequence: int = 65_530, timestamp: int = 2**32 - 4800) -> None:
        self.placement = Placement()
        self.sequence = sequence
        self.timestamp = timestamp

    def lose(self, count: int) -> None:
        """Packets that never arrive."""
        self.sequence += count
        self.timestamp += count * 960

    def hear(self, arrived_ns: int, *, loud: bool = True) -> int | None:
        """Let the next packet arrive; says where it begins."""
        packet = ReceivedPacket(arrived_ns, self.sequence % 65536, self.timestamp % 2**32, b"")
        self.lose(1)
        return self.placement.place(packet, 960, audible=loud)

    def run(self, first_ns: int, count: int, *, loud: bool, step_ns: int = FRAME_NS) -> list[int]:
        """Packets at an even pace; says where each begins."""
        begins = [self.hear(first_ns + k * step_ns, loud=loud) for k in range(count)]
        assert None not in begins
        return [begin for begin in begins if begin is not None]


def _evenly(first_ns: int, count: int) -> list[int]:
    return [first_ns + k * FRAME_NS for k in range(count)]


def test_an_even_stream_lies_where_it_arrived() -> None:
    """Across the wrap of sequence numbers and timestamps, to the nanosecond."""
    assert Stream().run(START_NS, 100, loud=True) == _evenly(START_NS, 100)


def test_jitter_within_speech_leaves_no_trace() -> None:
    """Packets follow RTP time from the onset, however early or late they come."""
    chance = random.Random(7)
    stream = Stream()
    begins = [stream.hear(START_NS)]
    begins += [
        stream.hear(START_NS + k * FRAME_NS + chance.randint(-15 * MS, 90 * MS))
        for k in range(1, 200)
    ]
    assert begins == _evenly(START_NS, 200)


def test_an_onset_after_a_pause_is_anchored_on_its_own_arrival() -> None:
    """The packet that ends a pause begins as it passes the socket; its word follows from there."""
    stream = Stream()
    stream.run(START_NS, 50, loud=True)
    stream.run(START_NS + 50 * FRAME_NS, 50, loud=False)
    onset_ns = START_NS + 100 * FRAME_NS + 37 * MS
    assert stream.hear(onset_ns) == onset_ns
    assert stream.hear(onset_ns + 5 * MS) == onset_ns + FRAME_NS


def test_a_loss_leaves_a_hole_of_its_length() -> None:
    """What follows lost packets stays on RTP time."""
    stream = Stream()
    stream.run(START_NS, 10, loud=True)
    stream.lose(3)
    assert stream.hear(START_NS + 13 * FRAME_NS + 4 * MS) == START_NS + 13 * FRAME_NS


def test_resumed_speech_with_timestamps_that_stood_still_lands_at_its_arrival() -> None:
    """Pipecat without auto-silence: 5.3 s without packets or RTP time, then more than real time."""
    stream = Stream()
    first = stream.run(START_NS, 50, loud=True)
    resumed_ns = first[-1] + FRAME_NS + 5_300 * MS
    begins = stream.run(resumed_ns, 200, loud=True, step_ns=6 * MS)
    assert begins == _evenly(resumed_ns, 200)


def test_a_pause_inside_a_burst_keeps_its_length() -> None:
    """A silence that came faster than real time is part of the speech around it."""
    stream = Stream()
    stream.run(START_NS, 50, loud=True)
    resumed_ns = START_NS + 8_000 * MS
    stream.run(resumed_ns, 50, loud=True, step_ns=5 * MS)
    stream.run(resumed_ns + 250 * MS, 40, loud=False, step_ns=5 * MS)
    second_ns = stream.hear(resumed_ns + 450 * MS)
    assert second_ns == resumed_ns + 90 * FRAME_NS


def test_a_short_stop_with_timestamps_that_stood_still_is_a_pause() -> None:
    """After the quiet end of a word, 300 ms without packets move the onset to its arrival."""
    stream = Stream()
    stream.run(START_NS, 50, loud=True)
    stream.run(START_NS + 50 * FRAME_NS, 3, loud=False)
    onset_ns = START_NS + 53 * FRAME_NS + 300 * MS
    assert stream.hear(onset_ns) == onset_ns


def test_a_gap_of_discontinuous_transmission_lands_at_its_arrival() -> None:
    """LiveKit: nothing is sent in silence and timestamps run on with the wall clock."""
    stream = Stream()
    stream.run(START_NS, 50, loud=True)
    stream.timestamp += 960 * 150
    onset_ns = START_NS + 200 * FRAME_NS + 12 * MS
    assert stream.hear(onset_ns) == onset_ns
    assert stream.hear(onset_ns + 19 * MS) == onset_ns + FRAME_NS


def test_a_stall_does_not_delay_the_rest_of_the_call() -> None:
    """After 800 ms of stalled silence, the next words lie at their own arrival again."""
    stream = Stream()
    stream.run(START_NS, 50, loud=True)
    stalled_ns = START_NS + 50 * FRAME_NS + 800 * MS
    stream.run(stalled_ns, 40, loud=False, step_ns=0)
    stream.run(stalled_ns, 60, loud=False)
    onset_ns = stalled_ns + 60 * FRAME_NS
    assert stream.hear(onset_ns) == onset_ns


def test_a_late_stretch_of_speech_keeps_its_shape() -> None:
    """A burst after a short stall in mid-word stays on RTP time."""
    stream = Stream()
    stream.run(START_NS, 50, loud=True)
    late_ns = START_NS + 50 * FRAME_NS + 180 * MS
    assert stream.run(late_ns, 10, loud=True, step_ns=0) == _evenly(START_NS + 50 * FRAME_NS, 10)


def test_nothing_precedes_what_was_audible() -> None:
    """An anchor may move back over silence, and leaves 200 ms of the pause."""
    stream = Stream()
    stream.run(START_NS, 10, loud=True)
    late_ns = START_NS + 10 * FRAME_NS + 2_000 * MS
    spoken = stream.run(late_ns, 100, loud=True, step_ns=5 * MS)
    stream.run(late_ns + 500 * MS, 15, loud=False)
    onset_ns = stream.hear(late_ns + 800 * MS)
    assert onset_ns == spoken[-1] + FRAME_NS + PAUSE_NS


@pytest.mark.parametrize("jump", [-500_000, 10_000_000, 2**31])
def test_timestamps_that_jump_for_no_reason_are_not_believed(jump: int) -> None:
    """A new time base lands at its arrival, and the stream goes on from there."""
    stream = Stream()
    stream.run(START_NS, 10, loud=True)
    stream.timestamp += jump
    begins = stream.run(START_NS + 10 * FRAME_NS, 10, loud=True)
    assert begins == _evenly(START_NS + 10 * FRAME_NS, 10)


def test_a_stream_that_starts_over_lands_at_its_arrival() -> None:
    """A new sender has other numbers altogether."""
    stream = Stream(sequence=100)
    stream.run(START_NS, 10, loud=True)
    stream.sequence, stream.timestamp = 40_000, 77
    assert stream.hear(START_NS + 3_000 * MS) == START_NS + 3_000 * MS


def test_duplicates_and_packets_that_come_too_late_are_left_out_live() -> None:
    """Only what follows the newest packet is placed."""
    placement = Placement()
    packets = [ReceivedPacket(START_NS, number, number * 960, b"") for number in (5, 6, 6, 4)]
    begins = [placement.place(packet, 960, audible=True) for packet in packets]
    assert begins == [START_NS, START_NS + FRAME_NS, None, None]


def test_a_finished_stream_is_put_in_order_and_cleaned_of_duplicates() -> None:
    """Across the wrap; the first copy of a packet stays."""
    numbers = [65_534, 0, 65_535, 0, 2, 1]
    packets = [ReceivedPacket(at, number, 0, b"") for at, number in enumerate(numbers)]
    ordered = in_order(packets)
    assert [packet.sequence for packet in ordered] == [65_534, 65_535, 0, 1, 2]
    assert [packet.arrived_ns for packet in ordered] == [0, 2, 1, 5, 4]


def test_one_stream_after_another_stays_behind_it() -> None:
    """A restart with lower numbers is not sorted before what came first."""
    numbers = [30_000, 30_001, 10, 12, 11]
    packets = [ReceivedPacket(at, number, 0, b"") for at, number in enumerate(numbers)]
    assert [packet.sequence for packet in in_order(packets)] == [30_000, 30_001, 10, 11, 12]


@pytest.mark.parametrize("seed", range(5))
def test_on_a_shaking_line_an_onset_loses_its_own_delay(seed: int) -> None:
    """Jitter of up to 30 ms moves no onset by more than what the quickest packets had."""
    chance = random.Random(seed)
    placement = Placement()
    sent_ns = [START_NS + k * FRAME_NS for k in range(200)]
    packets = [
        ReceivedPacket(at_ns + int(chance.uniform(0, 30e6)), k, k * 960, b"x")
        for k, at_ns in enumerate(sent_ns)
    ]
    for k, packet in enumerate(packets):
        begin_ns = placement.place(packet, 960, audible=k in {100, 101, 150, 151})
        if k in {100, 150}:
            assert begin_ns is not None
            assert 0 <= begin_ns - sent_ns[k] <= 5_000_000


def test_on_a_steady_line_a_late_onset_is_the_agents_own() -> None:
    """One packet behind its time after an even stream was sent late, and is heard late."""
    placement = Placement()
    for k in range(100):
        placement.place(
            ReceivedPacket(START_NS + k * FRAME_NS, k, k * 960, b"x"), 960, audible=False
        )
    late_ns = START_NS + 100 * FRAME_NS + 30_000_000
    late = ReceivedPacket(late_ns, 100, 96_000, b"x")
    assert placement.place(late, 960, audible=True) == late_ns
