"""Whether a call's measurements can be trusted. Judges our own side only, never the agent."""

from __future__ import annotations

from shared.call import REASONS, EndedReason, Owner, Validity
from shared.result import Instrument

SEND_LATENESS_P99_LIMIT_MS = 20.0
"""One packet: later than that, the agent heard another rhythm than the one recorded."""
LOOP_LAG_LIMIT_MS = 500.0
SENT_SHARE_NEEDED = 0.99


def judge(instrument: Instrument, ended_reason: EndedReason) -> tuple[Validity, list[str]]:
    """`void` with one sentence per reason where our side, not the agent, spoiled the call."""
    reasons = [
        *_ended(ended_reason),
        *_lateness(instrument),
        *_loop_lag(instrument),
        *_unsent(instrument),
    ]
    return (Validity.VOID if reasons else Validity.VALID), reasons


def _ended(ended_reason: EndedReason) -> list[str]:
    facts = REASONS[ended_reason]
    if facts.owner not in {Owner.FLEET, Owner.CONFIG}:
        return []
    return [f"{ended_reason}: {facts.sentence}"]


def _lateness(instrument: Instrument) -> list[str]:
    late_ms = instrument.send_lateness_p99_ms
    if late_ms is None or late_ms <= SEND_LATENESS_P99_LIMIT_MS:
        return []
    late = f"one in a hundred of our packets left {late_ms:.1f} ms late or later"
    return [f"caller_degraded: {late}, more than {SEND_LATENESS_P99_LIMIT_MS:g} ms"]


def _loop_lag(instrument: Instrument) -> list[str]:
    lag_ms = instrument.loop_lag_max_ms
    if lag_ms is None or lag_ms <= LOOP_LAG_LIMIT_MS:
        return []
    lag = f"our event loop stood still for {lag_ms:.0f} ms"
    return [f"caller_degraded: {lag}, more than {LOOP_LAG_LIMIT_MS:g} ms"]


def _unsent(instrument: Instrument) -> list[str]:
    planned, sent = instrument.packets_planned, instrument.packets_sent
    if sent >= planned * SENT_SHARE_NEEDED:
        return []
    return [f"caller_degraded: {sent} of {planned} packets were sent, fewer than 99 %"]
