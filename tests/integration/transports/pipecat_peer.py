"""A small SmallWebRTC agent on aiohttp and aiortc, with Pipecat's routes; echoes what it hears.

The tests' other side: it knows nothing of `worker`. Its answer can be spoiled in every way that a
test asks for (`Spoil`).
"""

from __future__ import annotations

import asyncio
import contextlib
import fractions
import json
from collections.abc import Callable
from typing import Any, Self

import aiortc
import av
from aiohttp import web

Spoil = Callable[[dict[str, Any]], web.StreamResponse | None]


class _Echo(aiortc.MediaStreamTrack):
    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._pts = 0

    async def recv(self) -> Any:
        packet = av.Packet(await self.queue.get())
        packet.pts, packet.time_base = self._pts, fractions.Fraction(1, 48000)
        self._pts += 960
        return packet


class _Ear:
    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    def add(self, packet: Any) -> tuple[bool, None]:
        self._bot.heard.append(packet._data)
        self._bot.levels.append(packet.extensions.audio_level)
        self._bot.timestamps.append(packet.timestamp)
        self._bot.echo.queue.put_nowait(packet._data)
        return False, None


class Bot:
    """One conversation, as the agent sees it."""

    def __init__(self, pc_id: str, offer: dict[str, Any]) -> None:
        self.pc_id = pc_id
        self.offer = offer
        self.connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self.echo = _Echo()
        self.heard: list[bytes] = []
        self.levels: list[tuple[bool, int] | None] = []
        self.timestamps: list[int] = []
        self.messages: list[str] = []
        self.channel: aiortc.RTCDataChannel | None = None
        self.connection.on("datachannel", self._channel_opened)

    def _channel_opened(self, channel: aiortc.RTCDataChannel) -> None:
        self.channel = channel
        channel.on("message", self.messages.append)

    async def answer(self) -> dict[str, str]:
        offer = aiortc.RTCSessionDescription(sdp=self.offer["sdp"], type=self.offer["type"])
        await self.connection.setRemoteDescription(offer)
        transceiver = self.connection.getTransceivers()[0]
        transceiver.sender.replaceTrack(self.echo)
        transceiver.direction = "sendrecv"
        transceiver.receiver._RTCRtpReceiver__jitter_buffer = _Ear(self)  # type: ignore[attr-defined]
        for transport in {t.receiver.transport.transport for t in [transceiver]}:
            _gather_on_loopback(transport._connection)
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        description = self.connection.localDescription
        return {"sdp": description.sdp, "type": description.type, "pc_id": self.pc_id}

    def say(self, kind: str, **data: Any) -> None:
        """Send an RTVI message."""
        self.send({"label": "rtvi-ai", "type": kind, "id": "1", "data": data})

    def send(self, message: Any) -> None:
        assert self.channel is not None
        self.channel.send(message if isinstance(message, str) else json.dumps(message))


def _gather_on_loopback(ice: Any) -> None:
    gather = ice.get_component_candidates

    async def on_loopback(component: int, addresses: list[str], timeout: int = 5) -> Any:
        return await gather(component, [*addresses, "127.0.0.1"], timeout)

    ice.get_component_candidates = on_loopback


class PipecatPeer:
    """The server. `offers`, `starts` and `headers` are what it was sent, in order."""

    def __init__(self) -> None:
        self.bots: list[Bot] = []
        self.offers: list[dict[str, Any]] = []
        self.starts: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.spoil_answer: Spoil | None = None
        self.spoil_start: Spoil | None = None
        self.start_answer: dict[str, Any] = {"sessionId": "session/1"}
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/api/offer", self._offer)
        app.router.add_post("/start", self._start)
        app.router.add_post("/sessions/{session}/api/offer", self._offer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for bot in self.bots:
            await bot.connection.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _start(self, request: web.Request) -> web.StreamResponse:
        self.starts.append(await request.json())
        self.headers.append(dict(request.headers))
        spoilt = self.spoil_start(self.start_answer) if self.spoil_start else None
        return spoilt or web.json_response(self.start_answer)

    async def _offer(self, request: web.Request) -> web.StreamResponse:
        offer = await request.json()
        self.offers.append(offer)
        self.headers.append(dict(request.headers))
        bot = Bot(f"SmallWebRTCConnection#{len(self.bots)}-abc", offer)
        self.bots.append(bot)
        answer = await bot.answer()
        spoilt = self.spoil_answer(answer) if self.spoil_answer else None
        if spoilt is not None:
            with contextlib.suppress(ConnectionError):
                await bot.connection.close()
        return spoilt or web.json_response(answer)
