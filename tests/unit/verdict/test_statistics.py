"""Statistics by nearest rank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.result import STATS, Distribution, Measures
from shared.statistics import (
    PER_CALL_MEASURES,
    PER_TURN_MEASURES,
    distribution,
    nearest_rank,
    statistic,
    too_few,
    values_of,
)

numbers = st.floats(-1e6, 1e6)


def test_no_values_have_no_statistics() -> None:
    """Only their count is known."""
    assert distribution([]) == Distribution()
    assert [statistic(Distribution(), stat) for stat in STATS] == [*[None] * 7, 0]


def test_percentiles_are_values_that_occurred() -> None:
    """The textbook case of nearest rank."""
    values = [15, 20, 35, 40, 50]
    assert [nearest_rank(values, percent) for percent in (5, 30, 40, 50, 100)] == [
        15,
        20,
        20,
        35,
        50,
    ]
    with pytest.raises(ValueError, match="no values"):
        nearest_rank([], 50)


@pytest.mark.parametrize(
    ("n", "p95", "p99"), [(19, None, None), (20, 18.0, None), (99, 94.0, None), (100, 94.0, 98.0)]
)
def test_high_percentiles_need_many_values(n: int, p95: float | None, p99: float | None) -> None:
    """p95 from twenty values, p99 from a hundred."""
    found = distribution(range(n))
    assert (found.p95, found.p99) == (p95, p99)


def test_too_few_values_are_said_in_a_sentence() -> None:
    """With the number that is needed and the number there is."""
    assert too_few("response_latency_ms", "p95", 12) == (
        "p95 of response_latency_ms needs at least 20 values and there are 12"
    )
    assert too_few("barge_in_stop_ms", "max", 0) == (
        "max of barge_in_stop_ms needs at least 1 value and there are none"
    )


@given(st.lists(numbers, min_size=1, max_size=150))
def test_statistics_are_ordered_and_within_the_values(values: list[float]) -> None:
    """For any values; percentiles are always one of them."""
    found = distribution(values)
    known = [
        value
        for value in (found.min, found.p50, found.p90, found.p95, found.p99, found.max)
        if value is not None
    ]
    assert known == sorted(known)
    assert set(known) <= set(values)
    assert found.mean is not None
    assert min(values) <= found.mean <= max(values)
    assert found.values == values
    assert found.n == len(values)


@given(st.lists(numbers, min_size=1, max_size=60))
def test_order_does_not_matter(values: list[float]) -> None:
    """Only the raw values keep theirs."""
    backwards = distribution(reversed(values), keep_values=False)
    assert backwards == distribution(values, keep_values=False)


def test_every_measure_is_per_turn_or_per_call() -> None:
    """And gives its values to the run."""
    assert set(PER_TURN_MEASURES) == {"response_latency_ms", "barge_in_stop_ms", "dead_air_ms"}
    assert len(PER_CALL_MEASURES) + 3 == len(Measures.__struct_fields__)
    measures = Measures(response_latency_ms=distribution([3, 1]), no_response=2)
    assert values_of(measures, "response_latency_ms") == [3, 1]
    assert values_of(measures, "no_response") == [2]
    assert values_of(measures, "talk_ratio") == []
    with pytest.raises(KeyError):
        values_of(measures, "loudness")
