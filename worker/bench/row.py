"""One line of a bench: what a number of callers of one profile cost. Owns the fields and units."""

from __future__ import annotations

from enum import StrEnum

import msgspec

PACKETS_PER_S = 50.0
TOLERANCE_PER_S = 0.1
FOREIGN_LIMIT_PERCENT = 10.0
DRIFT_LIMIT_PERCENT = 15.0


class Profile(StrEnum):
    """How a caller is made."""

    NAIVE = "naive"
    """aiortc as its documentation shows it: PCM track out, decoded track in, nothing else."""
    PACKET = "packet"
    """The product: `worker.call.Call` with live detection and spool file."""
    PACKET_NO_LISTEN = "packet-no-listen"
    """The same, but nothing of what the agent says is decoded while the call runs."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What one measured process is to do."""

    profile: Profile
    callers: int
    seconds: float
    warmup_s: float
    agent_url: str
    speech: str
    """File of `worker.bench.speech`."""
    folder: str
    """For spool files."""
    core: int


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One window of one measured process."""

    profile: Profile
    callers: int
    seconds: float
    cpu_ms_per_call_s: float
    """User and system time of the whole process; 10 is one per cent of a core per caller."""
    user_ms_per_call_s: float
    system_ms_per_call_s: float
    core_percent: float
    lateness_p50_ms: float
    lateness_p99_ms: float
    lateness_p999_ms: float
    lateness_max_ms: float
    lateness_bin_p99_ms: float
    loop_lag_p99_ms: float
    packets_per_s: float
    """Sent per caller and second, counted where they arrived."""
    packets_received_per_s: float
    callers_sending: int
    calls_broken: int
    """Calls that ended otherwise than by the bench."""
    rss_mb: float
    rss_per_call_mb: float
    threads: int
    set_up_cpu_ms: float
    """Per call, from nothing to media; what the calls before it cost meanwhile is taken off."""
    foreign_percent: float
    """Share of the measured core that others used."""
    steal_percent: float
    calibration_ms: float
    calibration_drift_percent: float
    tries: int = 1
    """Windows that were measured for this row."""
    invalid: list[str] = []
    """Why the row says nothing about cost: the callers did not do their work."""
    noisy: list[str] = []
    """Why the row is to be taken with caution: something else was at work."""


def judged(row: Row) -> Row:
    """The row with what is wrong with it."""
    # A packet that crosses the window's edge is no packet lost.
    edge_per_s = 1 / (row.seconds * row.callers)
    invalid = []
    if row.callers_sending < row.callers:
        invalid.append(f"{row.callers - row.callers_sending} callers sent nothing")
    if row.calls_broken:
        invalid.append(f"{row.calls_broken} calls broke")
    if abs(row.packets_per_s - PACKETS_PER_S) > TOLERANCE_PER_S:
        invalid.append(f"{row.packets_per_s:.1f} packets/s sent")
    if abs(row.packets_received_per_s - PACKETS_PER_S) > TOLERANCE_PER_S + edge_per_s:
        invalid.append(f"{row.packets_received_per_s:.1f} packets/s received")
    noisy = []
    if row.foreign_percent > FOREIGN_LIMIT_PERCENT:
        noisy.append(f"foreign {row.foreign_percent:.0f} %")
    if row.calibration_drift_percent > DRIFT_LIMIT_PERCENT:
        noisy.append(f"drift {row.calibration_drift_percent:.0f} %")
    return msgspec.structs.replace(row, invalid=invalid, noisy=noisy)
