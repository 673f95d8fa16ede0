"""Calls and runs to show, as short as a test can say them."""

from __future__ import annotations

from typing import Any

from shared.call import REASONS, CallStage, EndedReason, RunState, Validity, Verdict
from shared.result import CallResult, Distribution, Measures, RunCounts, RunResult


def a_call(index: int = 0, verdict: Verdict = Verdict.PASS, **changes: Any) -> CallResult:
    """A call that went well, but for the changes."""
    ended = changes.pop("ended_reason", EndedReason.CALLER_HUNG_UP)
    fields: dict[str, Any] = {
        "run": "run-1",
        "attempt": 1,
        "seed": 7,
        "agent": "booking",
        "scenario": "table-for-two",
        "persona": "calm",
        "repetition": 0,
        "stage": CallStage.DONE,
        "failure_owner": REASONS[ended].owner,
        "validity": Validity.VALID,
        "duration_ms": 31_500.0,
        "measures": Measures(
            time_to_first_word_ms=412.0,
            response_latency_ms=Distribution(values=[900, 1480], n=2, p50=900, max=1480),
            barge_in_stop_ms=Distribution(values=[240], n=1, p50=240, max=240),
        ),
    }
    return CallResult(index=index, verdict=verdict, ended_reason=ended, **(fields | changes))


def a_run(verdict: Verdict = Verdict.PASS, **changes: Any) -> RunResult:
    """A run of one call."""
    fields: dict[str, Any] = {
        "run": "run-1",
        "name": "booking",
        "state": RunState.FINISHED,
        "counts": RunCounts(planned=1, passed=1),
    }
    return RunResult(verdict=verdict, **(fields | changes))
