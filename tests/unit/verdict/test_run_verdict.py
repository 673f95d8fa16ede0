"""What a run came to."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.verdict import Tally
from shared.call import EndedReason, RunState, Validity, Verdict
from shared.plan import MeasureThreshold, PassRate, RunPlan
from shared.result import CallResult, Measures, RunResult
from shared.statistics import distribution
from tests.unit.verdict.rows import plan, row

PASSED, FAILED, UNJUDGED = row(), row(Verdict.FAIL), row(Verdict.NONE)
VOID = row(reason=EndedReason.WORKER_LOST)


def concluded(
    of: RunPlan, rows: Iterable[CallResult], state: RunState = RunState.FINISHED
) -> RunResult:
    tally = Tally(of)
    for each in rows:
        tally.add(each)
    return tally.verdict(run="r1", state=state)


def test_without_thresholds_every_judged_call_has_to_pass() -> None:
    """And the result says that this was the rule."""
    assert concluded(plan(), [PASSED] * 10).verdict is Verdict.PASS
    found = concluded(plan(), [PASSED] * 9 + [FAILED])
    assert found.verdict is Verdict.FAIL
    assert any("the plan sets no pass_rate" in line for line in found.why)
    assert found.thresholds[0].value == pytest.approx(90)


def test_a_measure_threshold_alone_keeps_the_default_pass_rate() -> None:
    """A plan that only bounds latency does not allow failed calls by it."""
    latency = MeasureThreshold(measure="no_response", stat="max", max=0)
    rows = [row(measures=Measures(no_response=0))] * 9
    found = concluded(plan(latency), [*rows, FAILED])
    assert [threshold.outcome for threshold in found.thresholds] == ["fail", "pass"]
    assert found.verdict is Verdict.FAIL


def test_the_pass_rate_is_over_judged_calls() -> None:
    """Exactly the asked share is enough; void calls leave the denominator."""
    nineteen_of_twenty = [PASSED] * 19 + [FAILED]
    assert concluded(plan(PassRate(min=95), calls=20), nineteen_of_twenty).verdict is Verdict.PASS
    eighteen = [PASSED] * 18 + [FAILED] + [VOID]
    assert concluded(plan(PassRate(min=95), calls=20), eighteen).verdict is Verdict.FAIL
    assert concluded(plan(PassRate(min=94), calls=20), eighteen).verdict is Verdict.PASS


@pytest.mark.parametrize("lost", [VOID, UNJUDGED, None])
def test_too_few_judged_calls_give_no_verdict(lost: CallResult | None) -> None:
    """Whether void, unjudged or never run: nine of ten are enough, eight are not."""
    missing = [] if lost is None else [lost]
    assert concluded(plan(), [PASSED] * 9 + missing).verdict is Verdict.PASS
    found = concluded(plan(), [PASSED] * 8 + missing * 2)
    assert found.verdict is Verdict.NONE
    assert "8 of 10 planned calls were judged" in found.why[0]


def test_too_few_judged_calls_give_no_failure_either() -> None:
    """What few calls say is not the run's answer."""
    assert concluded(plan(), [FAILED] + [VOID] * 9).verdict is Verdict.NONE


def test_with_min_valid_zero_and_nothing_judged_there_is_no_verdict() -> None:
    """A pass rate of no calls is an error."""
    found = concluded(plan(min_valid=0), [VOID] * 10)
    assert found.verdict is Verdict.NONE
    assert found.thresholds[0].outcome == "error"


def test_a_cancelled_run_has_no_verdict() -> None:
    """Even when all that ran passed."""
    found = concluded(plan(), [PASSED] * 10, RunState.CANCELLED)
    assert found.verdict is Verdict.NONE
    assert "cancelled" in found.why[0]


def with_latencies(*values_ms: float) -> CallResult:
    return row(measures=Measures(response_latency_ms=distribution(values_ms)))


P95 = MeasureThreshold(measure="response_latency_ms", stat="p95", max=2000)


def test_percentiles_are_over_turns_not_over_calls() -> None:
    """Twenty turns, one of them slow: the nineteenth decides."""
    rows = [with_latencies(500, 600)] * 9 + [with_latencies(700, 9000)]
    found = concluded(plan(P95), rows)
    assert found.verdict is Verdict.PASS
    assert found.measures["response_latency_ms"].p95 == 700
    assert found.measures["response_latency_ms"].values == []
    rows[0] = with_latencies(500, 2001)
    assert concluded(plan(P95), rows).verdict is Verdict.FAIL


def test_too_few_turns_are_an_error_that_says_how_many_it_takes() -> None:
    """A small run cannot know its p95; a failed threshold beside it still fails the run."""
    rows = [with_latencies(500)] * 10
    found = concluded(plan(P95), rows)
    assert found.verdict is Verdict.NONE
    assert any("needs at least 20 values and there are 10" in line for line in found.why)
    median = MeasureThreshold(measure="response_latency_ms", stat="p50", max=400)
    assert concluded(plan(P95, median), rows).verdict is Verdict.FAIL


def test_void_calls_give_no_measures() -> None:
    """Their figures are not to be trusted."""
    void = msgspec.structs.replace(with_latencies(9000), validity=Validity.VOID)
    found = concluded(plan(), [with_latencies(500)] * 9 + [void])
    assert found.measures["response_latency_ms"].max == 500


def test_measures_with_one_value_per_call_are_bounded_over_calls() -> None:
    """Such as the median time to the first word."""
    rows = [row(measures=Measures(time_to_first_word_ms=100.0 * k)) for k in range(1, 11)]
    bound = MeasureThreshold(measure="time_to_first_word_ms", stat="p50", min=501)
    found = concluded(plan(bound), rows)
    assert found.verdict is Verdict.FAIL
    assert found.thresholds[1].value == 500


@given(st.lists(st.sampled_from([PASSED, FAILED, UNJUDGED, VOID]), max_size=10))
def test_every_planned_call_is_counted_once(rows: list[CallResult]) -> None:
    """planned = passed + failed + unjudged + void + missing, and only enough of them conclude."""
    found = concluded(plan(), rows)
    counts = found.counts
    assert counts.planned == 10
    assert counts.planned == (
        counts.passed + counts.failed + counts.unjudged + counts.void + counts.missing
    )
    judged = counts.passed + counts.failed
    assert (found.verdict is Verdict.NONE) == (judged < 9)
    assert sum(found.ended_reasons.values()) == len(rows)
    assert found.why


def test_retries_and_owners_are_counted() -> None:
    """A call that took two attempts was retried, whatever it came to."""
    again = row(earlier_attempts=["worker_lost"])
    found = concluded(plan(), [again, VOID, row(Verdict.FAIL, reason=EndedReason.ICE_FAILED)])
    assert found.counts.retried == 1
    assert found.failure_owners == {"agent": 1, "fleet": 1}
    assert found.ended_reasons == {"caller_hung_up": 1, "ice_failed": 1, "worker_lost": 1}
    assert found.labels == {"branch": "main"}
