"""What a stranger may send."""

from __future__ import annotations

from worker.allowance import Allowance


def test_a_burst_passes_and_a_flood_does_not() -> None:
    """The steady rate is what is left once the burst is used up."""
    allowance = Allowance(per_s=100, burst=50)
    assert all(allowance.take(0) for _ in range(50))
    assert not allowance.take(0)
    passed = sum(allowance.take(at_ms * 1_000_000) for at_ms in range(1, 1001))
    assert 99 <= passed <= 100  # a float holds the rest
    assert allowance.refused == 1001 - passed


def test_a_clock_that_goes_back_gives_nothing() -> None:
    """Nor does it take anything away."""
    allowance = Allowance(per_s=100, burst=2)
    assert allowance.take(10**9)
    assert allowance.take(0)
    assert not allowance.take(0)
