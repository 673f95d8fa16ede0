"""Whether our own side spoiled a call."""

from __future__ import annotations

import msgspec
import pytest

from shared.call import REASONS, EndedReason, Owner, Validity, VoidReason
from shared.result import HostPressure, Instrument
from worker.measure.validity import GATES, judge

GOOD = Instrument(
    send_lateness_p99_ms=20.0,
    loop_lag_max_ms=200.0,
    packets_planned=1000,
    packets_sent=989,
    speech_packets_planned=400,
    speech_packets_sent=395,
    lines_planned=3,
    lines_said=3,
    caller_channel_ms=20_000.0,
    agent_channel_ms=20_250.0,
    host=HostPressure(
        waited_percent=40.0,
        stolen_percent=10.0,
        throttled_percent=5.0,
        cpu_pressure_percent=100.0,
    ),
)


def test_a_caller_within_its_limits_is_valid() -> None:
    """The limits themselves are allowed."""
    assert judge(GOOD, EndedReason.CALLER_HUNG_UP) == (Validity.VALID, [])
    assert judge(Instrument(), EndedReason.OFFER_REFUSED) == (Validity.VALID, [])


@pytest.mark.parametrize(
    ("reason", "spoiled", "told"),
    [
        ("caller_degraded", {"send_lateness_p99_ms": 20.1}, "20.1, more than 20 ms"),
        ("loop_stalled", {"loop_lag_max_ms": 201.0}, "201.0, more than 200 ms"),
        ("own_packets_lost", {"packets_sent": 988}, "1.1, more than 1 %"),
        ("host_pressure", {"host": HostPressure(waited_percent=40.1)}, "waited for a core"),
        ("host_pressure", {"host": HostPressure(stolen_percent=10.1)}, "stolen"),
        ("host_pressure", {"host": HostPressure(throttled_percent=5.1)}, "throttled"),
        ("script_unsaid", {"speech_packets_sent": 394}, "6.0, more than 5 packets"),
        ("script_unsaid", {"lines_said": 2}, "1.0, more than 0 lines"),
        ("channels_unequal", {"caller_channel_ms": 19_999.0}, "251.0, more than 250 ms"),
    ],
)
def test_a_spoiled_instrument_voids_the_call(
    reason: str, spoiled: dict[str, object], told: str
) -> None:
    """With one sentence that begins with a word of the vocabulary and gives the figure."""
    instrument = msgspec.structs.replace(GOOD, **spoiled)
    validity, (sentence,) = judge(instrument, EndedReason.CALLER_HUNG_UP)
    assert validity is Validity.VOID
    assert sentence.startswith(f"{reason}: ")
    assert told in sentence


def test_every_word_of_the_vocabulary_has_a_gate() -> None:
    """And every gate a limit and the figures that it voids."""
    assert {gate.reason for gate in GATES} == set(VoidReason)
    assert all(gate.voids and gate.figure and gate.unit for gate in GATES)


def test_a_call_without_a_caller_that_spoke_is_void() -> None:
    """A silent caller passes with nobody: its script was done, and nothing of it was heard."""
    silent = msgspec.structs.replace(GOOD, lines_said=0)
    validity, _ = judge(silent, EndedReason.CALLER_HUNG_UP)
    assert validity is Validity.VOID


@pytest.mark.parametrize("ended_reason", EndedReason)
def test_reasons_of_fleet_and_plan_void_the_call(ended_reason: EndedReason) -> None:
    """The agent's own never do."""
    validity, reasons = judge(GOOD, ended_reason)
    spoiled = REASONS[ended_reason].owner in {Owner.FLEET, Owner.CONFIG}
    assert validity is (Validity.VOID if spoiled else Validity.VALID)
    assert len(reasons) == spoiled
