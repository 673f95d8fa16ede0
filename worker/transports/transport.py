"""The seam between a caller and whatever carries its voice. Owns the contract, knows no WebRTC.

A transport is connected, sent to and closed. What comes back reaches a `Line`, synchronously and in
the event loop's thread, so that the time of a packet is the time of its arrival. Every transport,
the loopback fake included, is held to `tests/contracts/transports.py`.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from shared.call import Step
from shared.result import Reported


class ReceivedPacket(msgspec.Struct, frozen=True, gc=False):
    """One RTP packet of the agent's audio, undecoded."""

    arrived_ns: int
    """Monotonic clock (`worker.media.clock`) when the packet passed our socket."""
    sequence: int
    """RTP sequence number, 0 to 65535."""
    timestamp: int
    """RTP timestamp, 48 kHz, wraps at 2**32."""
    payload: bytes
    """Opus, any frame size."""


class Line(Protocol):
    """What a call listens with; methods return quickly and never raise."""

    def heard(self, packet: ReceivedPacket) -> None:
        """An audio packet arrived, in arrival order."""

    def reported(self, report: Reported) -> None:
        """The agent said something of itself; `at_ms` is set by the call, not by the transport."""

    def agent_left(self, detail: str) -> None:
        """The agent ended the call; may be said more than once."""

    def step(self, step: Step) -> None:
        """A step of connecting begins; the one before it is done."""


class TransportStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """The media path as our socket saw it."""

    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    """RFC 3550 A.3: expected minus received, never below 0."""
    jitter_ms: float = 0.0
    round_trip_ms: float | None = None


class Transport(Protocol):
    """One connection to one agent. `connect` once, `close` any number of times."""

    async def connect(self, line: Line) -> None:
        """Go through every step up to connected media; announces steps with `line.step`.

        Each step has its own limit. Raises `shared.errors.CallFailure`, naming the step that
        failed; its detail holds no secret.
        """

    def send(self, payload: bytes, level_dbov: int) -> None:
        """Send one 20 ms Opus packet now. `level_dbov` is RFC 6464: 0 (loudest) to 127 (silence).

        Does nothing once closed.
        """

    def join_keys(self) -> dict[str, str]:
        """Names under which the agent's side knows this connection."""

    def statistics(self) -> TransportStatistics:
        """Counted so far; also after `close`."""

    async def close(self) -> None:
        """Hang up and release everything; idempotent; never raises."""
