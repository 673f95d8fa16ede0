"""The live detector: when the agent began and stopped, and what becomes of bad input."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.media.conftest import FRAME_NS, sent_by, silence, tone
from worker.media.listener import Edge, Listener
from worker.media.loudness import Pcm
from worker.media.opus import encode_packets
from worker.transports.transport import ReceivedPacket

START_NS = 100_000_000_000
MS = 1_000_000


def _edges(packets: list[ReceivedPacket], *, then_ms: int = 1000) -> list[Edge]:
    """All edges of packets on their arrival, with a tick each 20 ms, and for a while after them."""
    listener = Listener()
    edges = []
    waiting = list(packets)
    now_ns = packets[0].arrived_ns
    end_ns = packets[-1].arrived_ns + then_ms * MS
    while now_ns <= end_ns:
        while waiting and waiting[0].arrived_ns <= now_ns:
            edges.append(listener.hear(waiting.pop(0)))
        edges.append(listener.tick(now_ns))
        now_ns += 5 * MS
    return [edge for edge in edges if edge is not None]


def _at_ms(edges: list[Edge], kind: str) -> list[float]:
    return [(edge.at_ns - START_NS) / MS for edge in edges if edge.kind == kind]


def _stream(pcm: Pcm) -> list[ReceivedPacket]:
    return sent_by(encode_packets(pcm), first_ns=START_NS)


def test_speech_has_one_start_and_one_stop_at_its_audible_edges() -> None:
    """Within 5 ms, although the stop is only declared 200 ms later."""
    edges = _edges(_stream(np.concatenate([silence(0.507), tone(0.8), silence(0.7)])))
    assert [edge.kind for edge in edges] == ["started", "stopped"]
    assert _at_ms(edges, "started") == [pytest.approx(507, abs=5)]
    assert _at_ms(edges, "stopped") == [pytest.approx(1307, abs=5)]


def test_packets_that_stop_end_the_speech() -> None:
    """An agent that sends nothing while it is silent has stopped where its sound ended."""
    edges = _edges(_stream(np.concatenate([silence(0.2), tone(0.4)])))
    assert _at_ms(edges, "stopped") == [pytest.approx(600, abs=7)]


def test_a_pause_shorter_than_200_ms_is_not_a_stop() -> None:
    """A gap between two words goes unnoticed."""
    edges = _edges(_stream(np.concatenate([tone(0.4), silence(0.15), tone(0.4), silence(0.5)])))
    assert [edge.kind for edge in edges] == ["started", "stopped"]


def test_a_click_is_no_speech() -> None:
    """One loud frame alone begins nothing."""
    edges = _edges(_stream(np.concatenate([silence(0.4), tone(0.01), silence(0.6)])))
    assert edges == []


def test_what_is_under_the_threshold_is_no_speech() -> None:
    """A tone of -56 dBFS is not audible to a caller."""
    assert _edges(_stream(np.concatenate([silence(0.3), tone(1.0, amplitude=0.0022)]))) == []


def test_steady_noise_is_learnt_and_speech_above_it_found() -> None:
    """After a noisy start the floor has risen, and speech 20 dB over it still begins and ends."""
    noise = np.random.default_rng(1).normal(0, 0.008, 48_000 * 16).astype(np.float32)
    noise[48_000 * 14 : 48_000 * 15] += tone(1.0)
    edges = _edges(_stream(noise))
    assert _at_ms(edges, "started")[-1] == pytest.approx(14_000, abs=25)
    assert _at_ms(edges, "stopped")[-1] == pytest.approx(15_000, abs=25)


def test_speech_faster_than_real_time_is_heard_at_its_own_pace() -> None:
    """2 s of sound in 0.4 s: the stop comes out, and lies, 2 s after the start."""
    packets = encode_packets(np.concatenate([tone(2.0), silence(0.3)]))
    burst = sent_by(packets, first_ns=START_NS, step_ns=4 * MS)
    listener = Listener()
    edges = [edge for packet in burst if (edge := listener.hear(packet)) is not None]
    assert [edge.kind for edge in edges] == ["started"]
    assert listener.speaking
    assert listener.tick(START_NS + 1_900 * MS) is None
    stop = listener.tick(START_NS + 2_100 * MS)
    assert stop is not None
    assert (stop.at_ns - START_NS) / MS == pytest.approx(2000, abs=7)
    assert not listener.speaking


def test_packets_of_60_ms_are_heard_like_any_other(quiet_packets: list[bytes]) -> None:
    """Several frames in a packet: a code 3 packet of three 20 ms frames."""
    loud = encode_packets(tone(0.6))[:30]
    sixty = [
        bytes([loud[k][0] | 3, 0x83])
        + b"".join(bytes([len(p) - 1]) for p in loud[k : k + 2])
        + b"".join(p[1:] for p in loud[k : k + 3])
        for k in range(0, 30, 3)
    ]
    edges = _edges(
        sent_by(sixty, first_ns=START_NS, step_ns=3 * FRAME_NS, samples=2880), then_ms=1500
    )
    assert [edge.kind for edge in edges] == ["started", "stopped"]
    assert _at_ms(edges, "stopped") == [pytest.approx(600, abs=15)]


@pytest.mark.parametrize(
    "payload", [b"", b"\xff\xff\xff", b"\x03", b"\x03\x80", b"\x6b" + bytes(9), b"x" * 1500]
)
def test_garbage_is_counted_and_changes_nothing(payload: bytes) -> None:
    """No packet makes the listener raise, and the ones after it are heard."""
    packets = _stream(np.concatenate([silence(0.3), tone(0.5)]))
    listener = Listener()
    edges = []
    for at, packet in enumerate(packets):
        if at == 5:
            bad = ReceivedPacket(packet.arrived_ns, packet.sequence, packet.timestamp, payload)
            listener.hear(bad)
        edges.append(listener.hear(packet))
    assert listener.corrupt == 1
    assert [edge.kind for edge in edges if edge] == ["started"]


def test_late_and_double_packets_change_nothing() -> None:
    """They are ignored for detection."""
    packets = _stream(np.concatenate([silence(0.3), tone(0.5), silence(0.4)]))
    doubled = [copy for packet in packets for copy in (packet, packet)]
    assert _at_ms(_edges(doubled), "started") == pytest.approx(
        _at_ms(_edges(packets), "started"), abs=3
    )
