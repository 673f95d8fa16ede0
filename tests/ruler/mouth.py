"""The ruler's audio: packets at exact times, and the record of when they left. Owns pacing.

`plan` names a sound and the moment of its first audible sample; a later plan replaces one that has
not begun. `stop_at` names the moment of the last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from fractions import Fraction

import msgspec
from aiortc import MediaStreamTrack
from av import Packet
from av.stream import Stream

from tests.ruler.journal import Said
from tests.ruler.orders import Orders
from tests.ruler.sounds import Sound, silence

FRAME_NS = 20_000_000
BURST_NS = 6_000_000
"""Pipecat was seen to send 150 to 200 packets a second after a pause."""
MS_NS = 1_000_000


class Saying(msgspec.Struct, kw_only=True):
    """A sound under way, packet by packet."""

    sound: Sound
    lead_ms: int
    in_real_time: bool
    due_ns: list[int] = []
    left_ns: list[int] = []
    """When each packet was handed over, before jitter."""
    wire_ns: list[int | None] = []
    """When it passed the socket; None: it never did."""
    stop_ns: int | None = None
    cut: bool = False

    def is_over(self, due_ns: int) -> bool:
        """Whether the packet due then does not belong to it any more."""
        if self.stop_ns is not None and due_ns + FRAME_NS // 2 > self.stop_ns:
            self.cut = len(self.due_ns) < len(self.sound.encodings[self.lead_ms])
            return True
        return len(self.due_ns) >= len(self.sound.encodings[self.lead_ms])

    def account(self) -> Said | None:
        """What is known of it, once its last packet has passed; None: nothing was audible."""
        audible = list(self._audible())
        if not audible:
            return None
        first, last = audible[0], audible[-1]
        start_ns = self.left_ns[first[0]] + int(first[1] * MS_NS)
        end_ns = self.left_ns[last[0]] + int(last[2] * MS_NS)
        if not self.in_real_time:
            end_ns = start_ns + int((last[0] - first[0]) * FRAME_NS + (last[2] - first[1]) * MS_NS)
        passed = [(self.wire_ns[at], begin) for at, begin, _ in audible]
        wire = [at_ns + int(begin * MS_NS) for at_ns, begin in passed if at_ns is not None]
        late_ns = [self.left_ns[at] - self.due_ns[at] for at in (first[0], last[0])]
        return Said(
            sound=self.sound.name,
            start_ns=start_ns,
            end_ns=end_ns,
            wire_start_ns=wire[0] if wire else None,
            cut=self.cut,
            late_ms=max(late_ns) / 1e6,
        )

    def _audible(self) -> Iterator[tuple[int, float, float]]:
        for at in range(len(self.left_ns)):
            within = self.sound.audible_within(self.lead_ms, at)
            if within is not None:
                yield at, *within


class Mouth(MediaStreamTrack):
    """An audio track of finished packets."""

    kind = "audio"

    def __init__(self, orders: Orders) -> None:
        super().__init__()
        self._stream = orders.stream
        self._frame = 0
        self._began_ns: int | None = None
        self._last_ns = 0
        self._planned: tuple[Sound, int] | None = None
        self._changed = asyncio.Event()
        self.saying: Saying | None = None
        self.sayings: list[Saying] = []
        self.on_packet: Saying | None = None
        """What the packet belongs to that `recv` gave last."""

    def plan(self, sound: Sound, audible_ns: int) -> None:
        """Say this next, so that it is first heard then."""
        self._planned = (sound, audible_ns)
        self._changed.set()

    def stop_at(self, silent_ns: int) -> None:
        """End what is being said so that it is last heard about then (10 ms to either side)."""
        if self.saying is not None:
            self.saying.stop_ns = silent_ns

    async def recv(self) -> Packet[Stream]:
        """The next packet when it is due; aiortc has no clock of its own."""
        if self._began_ns is None:
            self._began_ns = time.monotonic_ns()
        if self._stream == "bursts":
            payload, timestamp = await self._next_of_burst(self._began_ns)
        else:
            payload, timestamp = await self._next_in_time(self._began_ns)
        packet = Packet(payload)
        packet.pts = timestamp
        packet.time_base = Fraction(1, 48_000)
        return packet

    async def _next_in_time(self, began_ns: int) -> tuple[bytes, int]:
        while True:
            frame = self._frame
            self._frame += 1
            due_ns = began_ns + frame * FRAME_NS
            await _until(due_ns)
            payload = self._payload(due_ns)
            if payload is not None or self._stream == "silence":
                return payload or silence(), frame * 960

    async def _next_of_burst(self, began_ns: int) -> tuple[bytes, int]:
        if self.saying is None:
            await self._until_planned()
        due_ns = max(self._last_ns + BURST_NS, began_ns + self._frame * FRAME_NS)
        if self.saying is None:
            assert self._planned is not None
            due_ns = self._planned[1]
        await _until(due_ns)
        payload = self._payload(due_ns)
        if payload is None:
            return await self._next_of_burst(began_ns)
        self._last_ns = due_ns
        frame = self._frame
        self._frame += 1
        return payload, frame * 960

    async def _until_planned(self) -> None:
        """Until the moment of what is planned is 5 ms off: then nothing else will be planned."""
        while True:
            self._changed.clear()
            if self._planned is None:
                await self._changed.wait()
                continue
            left_s = (self._planned[1] - time.monotonic_ns()) / 1e9 - 0.005
            if left_s <= 0:
                return
            try:
                await asyncio.wait_for(self._changed.wait(), left_s)
            except TimeoutError:
                return

    def _payload(self, due_ns: int) -> bytes | None:
        if self.saying is not None and self.saying.is_over(due_ns):
            self.saying = None
        if self.saying is None and self._planned is not None:
            sound, audible_ns = self._planned
            if audible_ns < due_ns + FRAME_NS:
                lead_ms = min(19, max(0, round((audible_ns - due_ns) / MS_NS)))
                self.saying = Saying(
                    sound=sound, lead_ms=lead_ms, in_real_time=self._stream != "bursts"
                )
                self.sayings.append(self.saying)
                self._planned = None
        self.on_packet = self.saying
        if self.saying is None:
            return None
        at = len(self.saying.due_ns)
        self.saying.due_ns.append(due_ns)
        return self.saying.sound.encodings[self.saying.lead_ms][at]


async def _until(due_ns: int) -> None:
    wait_ns = due_ns - time.monotonic_ns()
    if wait_ns > 0:
        await asyncio.sleep(wait_ns / 1e9)
