"""The short row of an ended call that live progress shows. Owns the row, not the drawing of it."""

from __future__ import annotations

import msgspec

from shared.call import EndedReason, Validity, Verdict
from shared.result import CallResult


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One ended call, as progress shows it."""

    index: int
    attempt: int
    agent: str
    scenario: str
    persona: str
    repetition: int
    verdict: Verdict
    validity: Validity
    ended_reason: EndedReason
    detail: str
    duration_ms: float
    time_to_first_word_ms: float | None
    response_latency_p50_ms: float | None


def summary_of(result: CallResult) -> Summary:
    """The row of `result` that progress shows."""
    return Summary(
        index=result.index,
        attempt=result.attempt,
        agent=result.agent,
        scenario=result.scenario,
        persona=result.persona,
        repetition=result.repetition,
        verdict=result.verdict,
        validity=result.validity,
        ended_reason=result.ended_reason,
        detail=result.detail,
        duration_ms=result.duration_ms,
        time_to_first_word_ms=result.measures.time_to_first_word_ms,
        response_latency_p50_ms=result.measures.response_latency_ms.p50,
    )
