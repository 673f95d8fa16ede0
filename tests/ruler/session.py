"""One call with the ruler. Owns its peer connection and who is answered when."""

from __future__ import annotations

import asyncio
import time

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.ruler.ears import Ears
from tests.ruler.journal import Entry, Heard
from tests.ruler.mouth import MS_NS, Mouth
from tests.ruler.orders import Orders
from tests.ruler.sounds import Sound, sound
from tests.ruler.wire import Wire

CONNECT_S = 20.0


class Session:
    """Behaves as ordered until the caller hangs up."""

    def __init__(self, orders: Orders, tasks: asyncio.TaskGroup) -> None:
        self._orders = orders
        self._connected_ns = 0
        self._connected = asyncio.Event()
        self._over = asyncio.Event()
        self._mouth = Mouth(orders)
        self._wire = Wire(orders, self._mouth, tasks)
        self._ears = Ears(self._caller_sounds)
        self._peer = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._peer.on("connectionstatechange", self._connection_changed)

    async def answer(self, sdp: str) -> str:
        """Our SDP answer; ValueError: the offer has no audio."""
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        audio = [one for one in self._peer.getTransceivers() if one.kind == "audio"]
        if not audio:
            raise ValueError("the offer has no audio section")
        self._ears.listen_to(audio[0].receiver)
        self._wire.carry_for(self._peer.addTrack(self._mouth))
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        for protocol in audio[0].sender.transport.transport._connection._protocols:
            self._ears.stamp(protocol)
        return str(self._peer.localDescription.sdp)

    async def run(self) -> Entry | None:
        """Hold the call; its entry in the journal, or None where nobody came."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._connected.wait()
            if self._orders.greets_after_ms >= 0:
                due_ns = self._connected_ns + int(self._orders.greets_after_ms * MS_NS)
                self._mouth.plan(self._next_line(), due_ns)
            await self._over.wait()
        except TimeoutError:
            return None
        finally:
            await self._peer.close()
        said = [saying.account() for saying in self._mouth.sayings]
        return Entry(
            name=self._orders.name,
            connected_ns=self._connected_ns,
            said=[one for one in said if one is not None],
            heard=self._ears.heard,
            packets_sent=self._wire.sent,
            packets_lost=self._wire.lost,
        )

    def leave(self) -> None:
        """End soon."""
        self._connected.set()
        self._over.set()

    def _next_line(self) -> Sound:
        lines = self._orders.lines
        return sound(lines[min(len(self._mouth.sayings), len(lines) - 1)])

    def _caller_sounds(self, stretch: Heard, is_new: bool) -> None:
        orders = self._orders
        if orders.echoes_after_ms is not None:
            if is_new:
                due_ns = stretch.start_ns + int(orders.echoes_after_ms * MS_NS)
                self._mouth.plan(sound("click"), due_ns)
            return
        if is_new and self._mouth.saying is not None and orders.stops_after_ms is not None:
            self._mouth.stop_at(stretch.start_ns + int(orders.stops_after_ms * MS_NS))
        self._mouth.plan(self._next_line(), stretch.end_ns + int(orders.answers_after_ms * MS_NS))

    def _connection_changed(self) -> None:
        state = self._peer.connectionState
        if state == "connected":
            self._connected_ns = self._connected_ns or time.monotonic_ns()
            self._connected.set()
        elif state in ("failed", "closed"):
            self.leave()
