"""Agents that connect like any other and then do harm, one way each. Knows nothing of `worker`.

Each `Attack` gets a connected bot and goes on until the call is over; what it cannot send any more
ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pylibsrtp
from aiohttp import web
from aiortc.rtp import RtpPacket

from tests.integration.transports.pipecat_peer import Bot

Attack = Callable[["HostileBot"], Awaitable[None]]
PAUSE_S = 0.005
DEEP = "[" * 20_000


class HostileBot(Bot):
    """A bot with its hands on the wires."""

    def __init__(self, pc_id: str, offer: dict[str, Any]) -> None:
        super().__init__(pc_id, offer)
        self.chance = random.Random(7)
        self.sent = 0

    @property
    def _dtls(self) -> Any:
        return self.connection.getTransceivers()[0].sender.transport

    async def ready(self) -> bool:
        """Connected; False where the call ended before."""
        settled = asyncio.Event()

        def changed() -> None:
            if self.connection.connectionState in {"connected", "failed", "closed"}:
                settled.set()

        self.connection.on("connectionstatechange", changed)
        changed()
        await settled.wait()
        return self.connection.connectionState == "connected"

    @property
    def open(self) -> bool:
        return self.connection.connectionState == "connected"

    async def raw(self, data: bytes) -> None:
        """Bytes at the caller's UDP socket, past DTLS and SRTP."""
        self.sent += 1
        await self._dtls.transport._connection.send(data)

    async def rtp(self, payload: bytes, sequence: int, timestamp: int, kind: int = 96) -> None:
        """An RTP packet that decrypts well, whatever it holds."""
        self.sent += 1
        packet = RtpPacket(payload_type=kind, sequence_number=sequence & 0xFFFF)
        packet.timestamp, packet.ssrc, packet.payload = timestamp & 0xFFFFFFFF, 77, payload
        with contextlib.suppress(pylibsrtp.Error):  # it refuses to send what looks like a replay
            await self._dtls._send_rtp(packet.serialize())

    async def srtp(self, data: bytes) -> None:
        """Anything at all, encrypted as RTP would be."""
        self.sent += 1
        await self._dtls._send_rtp(data)


async def random_datagrams(bot: HostileBot) -> None:
    """Random bytes of every size, as STUN, DTLS, RTP and RTCP look from their first byte."""
    while bot.open:
        for first in (0, 1, 20, 22, 63, 64, 127, 128, 143, 191, 200, 255):
            size = bot.chance.choice((0, 1, 3, 11, 12, 13, 60, 1400, 9000, 60_000))
            await bot.raw((bytes([first]) + os.urandom(size))[: size or 1])
        await asyncio.sleep(PAUSE_S)


async def malformed_rtp(bot: HostileBot) -> None:
    """Random bytes that decrypt: wrong headers, extensions and padding."""
    while bot.open:
        for _ in range(10):
            head = bytes([0x80 | bot.chance.randrange(64), bot.chance.randrange(256)])
            with contextlib.suppress(Exception):  # what libsrtp itself refuses to send
                await bot.srtp(head + os.urandom(bot.chance.randrange(10, 600)))
        await asyncio.sleep(PAUSE_S)


async def broken_clocks(bot: HostileBot) -> None:
    """Timestamps and sequence numbers that jump to and fro through all of their range."""
    sequence = 0
    while bot.open:
        for _ in range(5):
            sequence += bot.chance.choice((0, 1, 2, 100, 3000, 30_000, -1, -60))
            await bot.rtp(
                bot.heard[-1] if bot.heard else b"\xf8\xff\xfe",
                sequence,
                bot.chance.choice((0, 1, 1 << 31, (1 << 32) - 1, bot.chance.randrange(1 << 32))),
            )
        await asyncio.sleep(0.02)


async def giant_opus(bot: HostileBot) -> None:
    """Packets as large as a datagram, most of them no Opus: 48 frames, no frames, random ones."""
    sequence = 0
    while bot.open:
        for head in (b"\xff\x30", b"\xfb\xbf", b"\x03\x30", b"\xfc", os.urandom(2)):
            sequence += 1
            await bot.rtp(head + os.urandom(1200), sequence, sequence * 960)
        await asyncio.sleep(0.02)


async def packet_flood(bot: HostileBot) -> None:
    """Good packets, a hundred times too many."""
    sequence = 0
    while bot.open:
        for _ in range(25):
            sequence += 1
            await bot.rtp(os.urandom(1000), sequence, sequence * 960)
        await asyncio.sleep(PAUSE_S)


async def message_flood(bot: HostileBot) -> None:
    """10,000 data-channel messages a second, as far as SCTP takes them."""
    body = json.dumps({"label": "rtvi-ai", "type": "bot-output", "data": {
        "text": "spam " * 30, "spoken": True, "aggregated_by": "sentence"}})  # fmt: skip
    while bot.open:
        if bot.channel is not None and bot.channel.bufferedAmount < 2_000_000:
            for _ in range(50):
                bot.send(body)
                bot.sent += 1
        await asyncio.sleep(PAUSE_S)


async def malformed_rtvi(bot: HostileBot) -> None:
    """JSON that is none, too deep, too long, of wrong types; and texts without an end."""
    odd: list[Any] = [None, 1, [], {}, "x" * 9000, [[[]]], {"a": {"b": "\ud800"}}, 1e308]
    while bot.open:
        if bot.channel is not None and bot.channel.bufferedAmount < 500_000:
            kind = bot.chance.choice(
                ("bot-output", "bot-tts-text", "user-transcription", "user-input", "error",
                 "llm-function-call", "bot-interrupted", "bot-ready", "signalling")
            )  # fmt: skip
            data = {
                key: bot.chance.choice(odd)
                for key in ("text", "final", "segment_id", "spoken_status", "spoken_progress",
                            "error", "arguments", "function_name", "result")
            }  # fmt: skip
            bot.send(json.dumps({"label": "rtvi-ai", "type": kind, "data": data}))
            bot.send(json.dumps({"label": odd[3], "type": odd[2], "data": odd[1]}))
            bot.send(DEEP)
            bot.channel.send(os.urandom(2000))
            bot.sent += 4
        await asyncio.sleep(PAUSE_S)


async def many_channels(bot: HostileBot) -> None:
    """Opens data channels until there are no more."""
    with contextlib.suppress(Exception):
        for number in range(2000):
            bot.connection.createDataChannel(f"c{number}" * 20)
            bot.sent += 1
            if number % 20 == 0:
                await asyncio.sleep(PAUSE_S)


ATTACKS: dict[str, Attack] = {
    attack.__name__.replace("_", "-"): attack
    for attack in (
        random_datagrams,
        malformed_rtp,
        broken_clocks,
        giant_opus,
        packet_flood,
        message_flood,
        malformed_rtvi,
        many_channels,
    )
}


class HostileAgents:
    """`url(attack)`; `sent` counts what each attack sent."""

    def __init__(self) -> None:
        self.base = ""
        self.sent: dict[str, int] = {}
        self.bots: list[HostileBot] = []
        self.tasks = asyncio.TaskGroup()

    def url(self, attack: str) -> str:
        return f"{self.base}/{attack}/api/offer"

    async def offer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["attack"]
        bot = HostileBot(f"SmallWebRTCConnection#{len(self.bots)}", await request.json())
        self.bots.append(bot)
        answer = await bot.answer()
        self.tasks.create_task(self._attack(name, bot))
        return web.json_response(answer)

    async def _attack(self, name: str, bot: HostileBot) -> None:
        if await bot.ready():
            with contextlib.suppress(ConnectionError, ValueError, pylibsrtp.Error):
                await ATTACKS[name](bot)
        self.sent[name] = self.sent.get(name, 0) + bot.sent


@contextlib.asynccontextmanager
async def hostile_agents() -> AsyncIterator[HostileAgents]:
    """Their server for the time of the block."""
    agents = HostileAgents()
    app = web.Application()
    app.router.add_post("/{attack}/api/offer", agents.offer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    agents.base = f"http://{host}:{port}"
    async with agents.tasks:
        try:
            yield agents
        finally:
            for bot in agents.bots:
                await bot.connection.close()
            await runner.cleanup()
