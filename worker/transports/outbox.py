"""Packets between whoever speaks and the task that sends: their order, RTP time and loss of pace.

Owns the RTP timestamp of each 20 ms frame; refuses to keep more than a second of them. Knows no
WebRTC and no pace of its own: the ticker decides when a packet is due.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import msgspec

from worker.media.clock import now_ns

_FRAME_SAMPLES: Final = 960
_FRAME_NS: Final = 20_000_000
_BEHIND_FRAMES: Final = 12
"""Longer than the ticker ever catches up on: the frames between were skipped, not delayed."""
_KEPT: Final = 50


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One packet to send. `timestamp` counts samples at 48 kHz from the first frame."""

    timestamp: int
    payload: bytes
    level_dbov: int


class Outbox:
    """One sender's packets; `dropped` counts those that a stuck sending task never took."""

    def __init__(self) -> None:
        self._packets: deque[Outgoing] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._frame = 0
        self._origin_ns: int | None = None
        self.sent = 0
        self.dropped = 0

    def put(self, payload: bytes, level_dbov: int) -> None:
        """Hand over the next frame; the sending task wakes in the next turn of the loop.

        RTP time is the frame's position; frames that the ticker skipped leave a gap in it.
        """
        now = now_ns()
        if self._origin_ns is None:
            self._origin_ns = now
        behind = (now - self._origin_ns) // _FRAME_NS - self._frame
        if behind > _BEHIND_FRAMES:
            self._frame += behind
        if len(self._packets) >= _KEPT:
            self._packets.popleft()
            self.dropped += 1
        self._packets.append(Outgoing(self._frame * _FRAME_SAMPLES, payload, level_dbov))
        self._frame += 1
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def take(self) -> Outgoing:
        """The next packet, waiting for one; it counts as sent."""
        while not self._packets:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        self.sent += 1
        return self._packets.popleft()
