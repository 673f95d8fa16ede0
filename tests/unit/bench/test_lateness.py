"""Lateness of packets by the times at which they passed."""

from __future__ import annotations

import pytest

from worker.bench.lateness import FRAME_NS, Passed, lateness

START_NS = 1_795_000_000_000_000_000
FRAMES = 500


def passed(late_ms: dict[int, float], first_timestamp: int = 0, pace: float = 1.0) -> Passed:
    at_ns = [START_NS + int(k * FRAME_NS * pace + late_ms.get(k, 0.0) * 1e6) for k in range(FRAMES)]
    return Passed(at_ns, [(first_timestamp + 960 * k) % (1 << 32) for k in range(FRAMES)])


def test_only_what_is_behind_its_own_schedule_is_late() -> None:
    """One packet of 500 at 7 ms: the maximum sees it, the median does not."""
    found = lateness([passed({250: 7.0})], 1, START_NS, START_NS + FRAMES * FRAME_NS)
    assert found.max_ms == pytest.approx(7.0)
    assert found.p50_ms == 0.0
    assert found.packets_per_s == pytest.approx(50.0)


def test_rtp_time_may_wrap() -> None:
    """The 32-bit counter runs over in mid-call."""
    found = lateness([passed({}, (1 << 32) - 9600)], 1, START_NS, START_NS + FRAMES * FRAME_NS)
    assert found.max_ms == 0.0


def test_a_sender_that_cannot_keep_up_is_late_and_sends_too_little() -> None:
    """A clock that runs at 80 % shows in both figures."""
    found = lateness([passed({}, pace=1.25)], 1, START_NS, START_NS + FRAMES * FRAME_NS)
    assert found.packets_per_s == pytest.approx(40.0, abs=0.1)
    assert found.max_ms > 1000


def test_a_caller_that_sent_nothing_lowers_the_rate() -> None:
    """The mean is over those that should have sent."""
    found = lateness([passed({})], 2, START_NS, START_NS + FRAMES * FRAME_NS)
    assert found.callers == 1
    assert found.packets_per_s == pytest.approx(25.0)
