"""Whether a call's measurements can be trusted. Judges our own side only, never the agent.

One gate is one row of `GATES`: its figure of `Instrument`, the limit, the word that
`CallResult.void_reasons` begins with, and the figures that are wrong where it is passed. The whole
call is void then: it is shown with all its figures, repeated where the plan allows retries, and
never counted for or against the agent. `docs/reasons.md` has the same table, held by a test.

A call that ended for a reason of fleet or plan is void as well (`shared.call.REASONS`).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from shared.call import REASONS, EndedReason, Owner, Validity, VoidReason
from shared.result import HostPressure, Instrument

LATENCIES = "latencies, barge-in"
EVERYTHING = "all"


class Gate(msgspec.Struct, frozen=True):
    """`exceeds` gives the figure; None: there is nothing to judge. Up to `limit` is allowed."""

    reason: VoidReason
    limit: float
    unit: str
    figure: str
    """What is looked at, in words."""
    voids: str
    """Which of the call's figures are wrong beyond the limit."""
    value: Callable[[Instrument], float | None]


def _host(name: str) -> Callable[[Instrument], float | None]:
    def value(instrument: Instrument) -> float | None:
        found: float | None = getattr(instrument.host or HostPressure(), name)
        return found

    return value


def _own_loss(instrument: Instrument) -> float | None:
    planned = instrument.packets_planned
    lost = planned - instrument.packets_sent
    # The last frame of a call may still be waiting for aiortc when the line is cut.
    return 100 * max(0, lost - 1) / planned if planned else None


def _speech_missing(instrument: Instrument) -> float | None:
    return float(instrument.speech_packets_planned - instrument.speech_packets_sent)


def _lines_missing(instrument: Instrument) -> float | None:
    return float(max(0, instrument.lines_planned - instrument.lines_said))


def _channel_difference(instrument: Instrument) -> float | None:
    caller_ms, agent_ms = instrument.caller_channel_ms, instrument.agent_channel_ms
    return None if caller_ms is None or agent_ms is None else abs(caller_ms - agent_ms)


GATES = (
    Gate(
        VoidReason.LOOP_STALLED, 200.0, "ms",
        "longest stand-still of our event loop", LATENCIES,
        lambda instrument: instrument.loop_lag_max_ms,
    ),  # what the ticker catches up on, and a hole that an agent may take for the end of a turn
    Gate(
        VoidReason.CALLER_DEGRADED, 20.0, "ms",
        "lateness of our packets, 99th percentile", LATENCIES,
        lambda instrument: instrument.send_lateness_p99_ms,
    ),  # one packet: later than that, the agent heard another rhythm than the one recorded
    Gate(
        VoidReason.OWN_PACKETS_LOST, 1.0, "% of those planned",
        "our packets that were never sent", EVERYTHING, _own_loss,
    ),
    Gate(
        VoidReason.HOST_PRESSURE, 40.0, "% of the call",
        "our loop waited for a core that others used", LATENCIES, _host("waited_percent"),
    ),
    Gate(
        VoidReason.HOST_PRESSURE, 10.0, "% of the call",
        "cores stolen by the hypervisor", LATENCIES, _host("stolen_percent"),
    ),
    Gate(
        VoidReason.HOST_PRESSURE, 5.0, "% of the call",
        "our cgroup was throttled", LATENCIES, _host("throttled_percent"),
    ),
    Gate(
        VoidReason.SCRIPT_UNSAID, 5.0, "packets of 20 ms",
        "parts of utterances that were begun and never sent", EVERYTHING, _speech_missing,
    ),
    Gate(
        VoidReason.SCRIPT_UNSAID, 0.0, "lines",
        "lines of a finished script of which nothing was audible", EVERYTHING, _lines_missing,
    ),
    Gate(
        VoidReason.CHANNELS_UNEQUAL, 250.0, "ms",
        "difference in length between the two channels", EVERYTHING, _channel_difference,
    ),
)  # fmt: skip


def judge(instrument: Instrument, ended_reason: EndedReason) -> tuple[Validity, list[str]]:
    """`void` with one sentence per reason where our side, not the agent, spoiled the call."""
    reasons = [*_ended(ended_reason), *_passed(instrument)]
    return (Validity.VOID if reasons else Validity.VALID), reasons


def _ended(ended_reason: EndedReason) -> list[str]:
    facts = REASONS[ended_reason]
    if facts.owner not in {Owner.FLEET, Owner.CONFIG}:
        return []
    return [f"{ended_reason}: {facts.sentence}"]


def _passed(instrument: Instrument) -> list[str]:
    found = []
    for gate in GATES:
        value = gate.value(instrument)
        if value is not None and value > gate.limit:
            bound = f"more than {gate.limit:g} {gate.unit}"
            found.append(f"{gate.reason}: {gate.figure}: {value:.1f}, {bound}")
    return found
