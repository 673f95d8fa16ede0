"""Whether the agent is speaking, live. Owns detection by energy; refuses precision, which comes after.

Interface (being filled in).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from worker.transports.transport import ReceivedPacket


class Edge(msgspec.Struct, frozen=True, gc=False):
    """The agent began or stopped to be audible."""

    kind: Literal["started", "stopped"]
    at_ns: int
    """Clock time of the first, or of the last, audible sound; declared up to 200 ms later."""


class Listener:
    """Hears one agent."""

    def __init__(self) -> None:
        self.corrupt = 0
        """Packets that no decoder understood."""

    @property
    def speaking(self) -> bool:
        """The agent is audible by all that has been declared."""
        raise NotImplementedError

    def hear(self, packet: ReceivedPacket) -> Edge | None:
        """Take a packet in arrival order; never raises."""
        raise NotImplementedError

    def tick(self, now_ns: int) -> Edge | None:
        """Notice what time alone tells (packets that stopped); call once per frame."""
        raise NotImplementedError
