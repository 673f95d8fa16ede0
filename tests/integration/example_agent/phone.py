"""A small caller of the tests' own: aiortc, a tone for a voice, and every packet it received."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import aiohttp
import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av.stream import Stream

AUDIBLE_DBFS = -45.0
HZ = 48_000
FRAME = 960


def opus(samples: np.ndarray[Any, Any]) -> list[bytes]:
    """Mono 48 kHz samples of -1 to 1 as 20 ms Opus packets."""
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.format, codec.layout, codec.sample_rate = "s16", "mono", HZ
    packets: list[bytes] = []
    for start in range(0, len(samples), FRAME):
        pcm = (samples[start : start + FRAME] * 32767).astype(np.int16)[np.newaxis]
        frame = av.AudioFrame.from_ndarray(pcm, "s16", "mono")
        frame.sample_rate, frame.pts = HZ, start
        packets += [bytes(packet) for packet in codec.encode(frame)]
    return packets


def tone(duration_s: float, dbfs: float = -20.0) -> list[bytes]:
    """Something to hear."""
    t = np.arange(int(duration_s * HZ) // FRAME * FRAME) / HZ
    return opus(np.sin(2 * np.pi * 300 * t) * 2**0.5 * 10 ** (dbfs / 20))


@dataclass(frozen=True)
class Arrival:
    """One packet from the agent."""

    at_s: float
    sequence: int
    level_dbfs: float
    near_full_scale: int
    """Samples above 0.85, of 960."""


class Microphone(MediaStreamTrack):
    """Sends a packet every 20 ms: of the tone, else of the background."""

    kind = "audio"

    def __init__(self, background: list[bytes]) -> None:
        super().__init__()
        self.saying: list[bytes] = []
        self.spoke_until_s = 0.0
        self._background = background
        self._frame = 0
        self._started_s = 0.0

    async def recv(self) -> av.Packet[Stream]:
        """The next packet when it is due."""
        now_s = asyncio.get_running_loop().time()
        self._started_s = self._started_s or now_s
        await asyncio.sleep(self._started_s + self._frame * FRAME / HZ - now_s)
        if self.saying:
            self.spoke_until_s = asyncio.get_running_loop().time()
            packet = av.Packet(self.saying.pop(0))
        else:
            packet = av.Packet(self._background[self._frame % len(self._background)])
        packet.pts, packet.time_base = self._frame * FRAME, Fraction(1, HZ)
        self._frame += 1
        return packet


class Phone:
    """One call. `arrivals` and `messages` grow; `until` waits for what they come to show."""

    def __init__(self, background: list[bytes] | None = None) -> None:
        self.arrivals: list[Arrival] = []
        self.messages: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {}
        self.microphone = Microphone(background or opus(np.zeros(FRAME * 3))[1:])
        self._news = asyncio.Event()
        self._decoder: Any = av.CodecContext.create("libopus", "r")
        self._decoder.format, self._decoder.layout, self._decoder.sample_rate = "s16", "mono", HZ
        configuration = RTCConfiguration([], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self.peer = RTCPeerConnection(configuration)
        self.peer.on("connectionstatechange", self._news.set)
        receiver = self.peer.addTransceiver(self.microphone, "sendrecv").receiver
        receiver._RTCRtpReceiver__jitter_buffer = self  # type: ignore[attr-defined]
        self.channel = self.peer.createDataChannel("chat")
        self.channel.on("message", self._read)

    async def dial(self, url: str, **more: object) -> None:
        """Offer, and take the answer."""
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = {"sdp": self.peer.localDescription.sdp, "type": "offer", **more}
        async with aiohttp.ClientSession() as http, http.post(url, json=offer) as response:
            self.answer = await response.json()
        description = RTCSessionDescription(self.answer["sdp"], self.answer["type"])
        await self.peer.setRemoteDescription(description)

    async def until(self, happened: Callable[[], object], within_s: float = 10.0) -> None:
        """Wait until a look at arrivals, messages or state says yes."""
        async with asyncio.timeout(within_s):
            while not happened():
                self._news.clear()
                await self._news.wait()

    def say(self, duration_s: float) -> None:
        """Begin to make a sound."""
        self.microphone.saying = tone(duration_s)

    def send(self, message: dict[str, Any]) -> None:
        """One message over the data channel."""
        self.channel.send(json.dumps(message))

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The RTVI messages of one type, in order."""
        return [message for message in self.messages if message["type"] == kind]

    def said(self, status: str = "completed") -> list[str]:
        """The texts that the agent reported with this status."""
        outputs = [message["data"] for message in self.told("bot-output")]
        return [output["text"] for output in outputs if output["spoken_status"] == status]

    @property
    def agent_left(self) -> bool:
        """It said that it hangs up."""
        return {"type": "peerLeft"} in [message.get("message") for message in self.messages]

    @property
    def audible(self) -> list[Arrival]:
        """What could be heard."""
        return [arrival for arrival in self.arrivals if arrival.level_dbfs > AUDIBLE_DBFS]

    @property
    def agent_audible(self) -> bool:
        """Something was heard in the last half a second of packets."""
        return any(arrival.level_dbfs > AUDIBLE_DBFS for arrival in self.arrivals[-25:])

    @property
    def lost_percent(self) -> float:
        """Holes in the sequence numbers."""
        numbers = [arrival.sequence for arrival in self.arrivals]
        expected = (numbers[-1] - numbers[0]) % 2**16 + 1
        return 100 * (1 - len(numbers) / expected)

    def add(self, packet: Any) -> tuple[bool, None]:
        """Take a packet in place of aiortc's jitter buffer."""
        now_s = asyncio.get_running_loop().time()
        samples = self._decoder.decode(av.Packet(packet._data))[0].to_ndarray().astype(np.float64)
        level_dbfs = 10 * np.log10(np.mean((samples / 32768) ** 2) + 1e-10)
        near_full_scale = int(np.count_nonzero(np.abs(samples) > 0.85 * 32768))
        self.arrivals.append(Arrival(now_s, packet.sequence_number, level_dbfs, near_full_scale))
        self._news.set()
        return False, None

    def _read(self, message: str) -> None:
        self.messages.append(json.loads(message))
        self._news.set()


@asynccontextmanager
async def call(url: str, background: list[bytes] | None = None) -> AsyncIterator[Phone]:
    """A phone that has dialled; hangs up at the end."""
    phone = Phone(background)
    try:
        await phone.dial(url)
        await phone.until(lambda: phone.peer.connectionState == "connected")
        yield phone
    finally:
        await phone.peer.close()
