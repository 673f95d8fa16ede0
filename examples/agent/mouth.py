"""The agent's audio: one packet every 20 ms. Owns the clock; refuses to encode anything."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from fractions import Fraction

from aiortc import MediaStreamTrack
from av import Packet
from av.stream import Stream
from voice import FRAME_SAMPLES, OPUS_HZ

FRAME_S = FRAME_SAMPLES / OPUS_HZ
STALL_S = 0.2
"""Later than this, frames are not sent in a burst: the clock starts anew."""


class Mouth(MediaStreamTrack):
    """An audio track made of finished Opus packets; silence where nothing is said.

    aiortc passes an `av.Packet` on as it is: no encoder, no thread, no resampling.
    """

    kind = "audio"

    def __init__(self, silence: bytes) -> None:
        super().__init__()
        self._silence = silence
        self._line: Sequence[bytes] = ()
        self._next = 0
        self._said: asyncio.Future[bool] | None = None
        self._frame = 0
        self._started_s: float | None = None
        self._freezes_in: int | None = None

    async def say(self, line: Sequence[bytes]) -> bool:
        """Return when the line is out: True, or False when `hush` cut it short."""
        self._line, self._next = line, 0
        self._said = asyncio.get_running_loop().create_future()
        return await self._said

    def hush(self) -> None:
        """Stop speaking at once. Nothing happens when nothing is being said."""
        self._finish(heard_out=False)

    def freeze(self, after_s: float) -> None:
        """Stop sending anything, even silence, `after_s` from now (a planted fault)."""
        self._freezes_in = round(after_s / FRAME_S)

    async def recv(self) -> Packet[Stream]:
        """The next packet, not before it is due; aiortc has no clock of its own."""
        await self._until_due()
        packet = Packet(self._payload())
        packet.pts = self._frame * FRAME_SAMPLES
        packet.time_base = Fraction(1, OPUS_HZ)
        self._frame += 1
        return packet

    async def _until_due(self) -> None:
        if self._freezes_in is not None:
            self._freezes_in -= 1
            if self._freezes_in < 0:
                await asyncio.Event().wait()
        now_s = asyncio.get_running_loop().time()
        if self._started_s is None or now_s - self._started_s > self._frame * FRAME_S + STALL_S:
            self._started_s = now_s - self._frame * FRAME_S
        await asyncio.sleep(self._started_s + self._frame * FRAME_S - now_s)

    def _payload(self) -> bytes:
        if self._next >= len(self._line):
            self._finish(heard_out=True)
            return self._silence
        self._next += 1
        return self._line[self._next - 1]

    def _finish(self, *, heard_out: bool) -> None:
        self._line = ()
        if self._said is not None and not self._said.done():
            self._said.set_result(heard_out)
