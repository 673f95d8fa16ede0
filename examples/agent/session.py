"""One call. Owns its peer connection and its conversation; refuses to know about HTTP."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from dialogue import AFTERTHOUGHT, GREETING, REPLIES
from ears import Ears
from faults import Fault
from mouth import Mouth
from rtvi import Rtvi

CONNECT_S = 30.0
GREETS_AFTER_S = 0.3
REPLY_S = (0.3, 0.5)
"""Thinking time between the end of the caller's turn (500 ms of quiet) and the reply."""
SLOW_REPLY_S = 4.0
LINGER_S = 4.0
"""After the last reply, for the caller to hang up first or to say something more."""
FLUSH_S = 0.1
LOSS = 0.08
FREEZES_AFTER_S = 1.0

Lines = Mapping[str, list[bytes]]
"""Every text of `dialogue` with its Opus packets, and the empty text with one packet of silence."""


class Session:
    """A peer connection, a mouth, a pair of ears, and a conversation between them."""

    def __init__(self, lines: Lines, fault: Fault | None, seed: str) -> None:
        self._lines = lines
        self._fault = fault
        self._chance = random.Random(seed)
        self._connected = asyncio.Event()
        self._over = asyncio.Event()
        self._rtvi = Rtvi()
        self._mouth = Mouth(lines[""][0])
        self._ears = Ears(self._caller_changed)
        # Host addresses only, and one transport for audio and data.
        self._peer = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._peer.on("datachannel", self._rtvi.open)
        self._peer.on("connectionstatechange", self._connection_changed)

    async def answer(self, sdp: str) -> str:
        """Our SDP answer. ValueError: the offer has no audio. A second offer renegotiates."""
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        audio = [one for one in self._peer.getTransceivers() if one.kind == "audio"]
        if not audio:
            raise ValueError("the offer has no audio section")
        self._ears.listen_to(audio[0].receiver)
        if audio[0].sender.track is None and self._fault is not Fault.ANSWERS_WITHOUT_AUDIO:
            sender = self._peer.addTrack(self._mouth)
            if self._fault is Fault.LOST_PACKETS:
                lose_packets(sender, LOSS, self._chance)
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        return self._peer.localDescription.sdp

    async def run(self) -> None:
        """Hold the conversation; return when either side has hung up and all is closed."""
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._connected.wait()
            async with asyncio.TaskGroup() as tasks:
                talk = tasks.create_task(self._talk())
                talk.add_done_callback(lambda _: self._over.set())
                await self._over.wait()
                talk.cancel()
        except TimeoutError:
            return  # the caller sent an offer and never came
        finally:
            await self._hang_up()

    def leave(self) -> None:
        """Hang up soon; `run` returns when it is done."""
        self._connected.set()
        self._over.set()

    async def _talk(self) -> None:
        if self._fault is Fault.NEVER_SPEAKS:
            await self._over.wait()
        await asyncio.sleep(GREETS_AFTER_S)
        await self._say(GREETING)
        if self._fault is Fault.DEAF:
            await self._over.wait()
        answered = 0
        for reply in REPLIES:
            answered = await self._caller_has_spoken(answered)
            if self._fault is Fault.FREEZES:
                self._mouth.freeze(FREEZES_AFTER_S)
            await self._say(reply)
            if self._fault is Fault.HANGS_UP_EARLY:
                return
        while await self._speaks_again(answered):
            answered = await self._caller_has_spoken(answered)
            await self._say(AFTERTHOUGHT)

    async def _say(self, text: str) -> None:
        self._rtvi.bot_starts(text)
        heard_out = await self._mouth.say(self._lines[text])
        self._rtvi.bot_stops(text, heard_out=heard_out)

    async def _caller_has_spoken(self, answered: int) -> int:
        """Wait for a turn beyond those `answered`, and think; return the turns spoken so far."""
        slow = self._fault is Fault.SLOW_REPLY
        while True:
            await self._ears.turn_after(answered)
            answered = self._ears.turns
            thinking_s = self._chance.uniform(*REPLY_S) + slow * SLOW_REPLY_S
            if not await happens_within(thinking_s, self._ears.caller_starts):
                return answered

    async def _speaks_again(self, answered: int) -> bool:
        return await happens_within(LINGER_S, lambda: self._ears.turn_after(answered))

    def _caller_changed(self, speaking: bool) -> None:
        self._rtvi.user(speaking=speaking)
        if speaking and self._fault not in (Fault.IGNORES_BARGE_IN, Fault.DEAF):
            self._mouth.hush()

    def _connection_changed(self) -> None:
        if self._peer.connectionState == "connected":
            self._connected.set()
        elif self._peer.connectionState in ("failed", "closed"):
            self.leave()

    async def _hang_up(self) -> None:
        if self._peer.connectionState == "connected":
            self._rtvi.leave()
            await asyncio.sleep(FLUSH_S)  # the message must be out before the connection is not
        await self._peer.close()


async def happens_within(limit_s: float, what: Callable[[], Awaitable[None]]) -> bool:
    """Whether `what` returned within the limit."""
    try:
        async with asyncio.timeout(limit_s):
            await what()
    except TimeoutError:
        return False
    return True


def lose_packets(sender: RTCRtpSender, share: float, chance: random.Random) -> None:
    """Drop RTP packets after they were numbered, as a bad network would (a planted fault)."""
    send = sender.transport._send_rtp  # noqa: SLF001

    async def send_some(data: bytes) -> None:
        is_rtcp = 64 <= data[1] & 0x7F < 96  # RFC 5761, section 4
        if is_rtcp or chance.random() >= share:
            await send(data)

    sender.transport._send_rtp = send_some  # type: ignore[method-assign] # noqa: SLF001
