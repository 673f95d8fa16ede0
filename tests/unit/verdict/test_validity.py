"""Whether our own side spoiled a call."""

from __future__ import annotations

import pytest

from shared.call import REASONS, EndedReason, Owner, Validity
from shared.result import Instrument
from worker.measure.validity import judge

GOOD = Instrument(
    send_lateness_p99_ms=20.0, loop_lag_max_ms=500.0, packets_planned=1000, packets_sent=990
)


def test_a_caller_within_its_limits_is_valid() -> None:
    """The limits themselves are allowed."""
    assert judge(GOOD, EndedReason.CALLER_HUNG_UP) == (Validity.VALID, [])
    assert judge(Instrument(), EndedReason.OFFER_REFUSED) == (Validity.VALID, [])


@pytest.mark.parametrize(
    ("instrument", "told"),
    [
        (Instrument(send_lateness_p99_ms=20.1), "20.1 ms late"),
        (Instrument(loop_lag_max_ms=501), "501 ms"),
        (Instrument(packets_planned=1000, packets_sent=989), "989 of 1000"),
    ],
)
def test_a_degraded_caller_voids_the_call(instrument: Instrument, told: str) -> None:
    """With a sentence that gives the figure."""
    validity, (reason,) = judge(instrument, EndedReason.CALLER_HUNG_UP)
    assert validity is Validity.VOID
    assert reason.startswith("caller_degraded: ")
    assert told in reason


@pytest.mark.parametrize("ended_reason", EndedReason)
def test_reasons_of_fleet_and_plan_void_the_call(ended_reason: EndedReason) -> None:
    """The agent's own never do."""
    validity, reasons = judge(GOOD, ended_reason)
    spoiled = REASONS[ended_reason].owner in {Owner.FLEET, Owner.CONFIG}
    assert validity is (Validity.VOID if spoiled else Validity.VALID)
    assert len(reasons) == spoiled
