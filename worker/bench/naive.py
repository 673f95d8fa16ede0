"""The number to beat: a caller as the documentation of aiortc shows it, and nothing more.

PCM goes out of a track, decoded frames come out of a track; no recording, no detection, no data
channel. Owns that caller; the product takes nothing from here.
"""

from __future__ import annotations

import asyncio
import bisect
import time
from array import array
from fractions import Fraction
from typing import Final

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from shared.http import Http
from worker.bench.speech import Speech
from worker.media.clock import now_ns

RATE_HZ: Final = 48_000
FRAME_SAMPLES: Final = 960
FRAME_BYTES: Final = 2 * FRAME_SAMPLES
OFFER_S: Final = 60.0
MAX_ANSWER_BYTES: Final = 1_000_000


class _SpeechTrack(MediaStreamTrack):
    """`aiortc.mediastreams.AudioStreamTrack` with speech in its frames, mono at 48 kHz."""

    kind = "audio"

    def __init__(self, pcm: bytes, at: int) -> None:
        super().__init__()
        self._pcm = pcm
        self._at = at * FRAME_BYTES
        self._began_s: float | None = None
        self._samples = 0

    async def recv(self) -> AudioFrame:
        """The next 20 ms, when their time has come."""
        if self._began_s is None:
            self._began_s = time.time()
        else:
            self._samples += FRAME_SAMPLES
            wait_s = self._began_s + self._samples / RATE_HZ - time.time()
            await asyncio.sleep(wait_s)
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        frame.planes[0].update(self._pcm[self._at : self._at + FRAME_BYTES])
        self._at = (self._at + FRAME_BYTES) % len(self._pcm)
        frame.pts = self._samples
        frame.sample_rate = RATE_HZ
        frame.time_base = Fraction(1, RATE_HZ)
        return frame


class NaiveCallers:
    """Implements `worker.bench.callers.Callers`."""

    def __init__(self, speech: Speech, offer_url: str, http: Http) -> None:
        self._speech = speech
        self._offer_url = offer_url
        self._http = http
        self._over = asyncio.Event()
        self._heard: list[array[int]] = []

    async def hold(self, index: int) -> bool:
        """See `Callers.hold`."""
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.addTrack(_SpeechTrack(self._speech.pcm, 97 * index % len(self._speech.packets)))
        try:
            async with asyncio.TaskGroup() as group:
                connection.on("track", lambda track: group.create_task(self._listen(track)))
                await self._connect(connection)
                await self._over.wait()
                lasted = connection.connectionState == "connected"
                await connection.close()
        finally:
            await connection.close()
        return lasted

    def hang_up(self) -> None:
        """See `Callers.hang_up`."""
        self._over.set()

    def received(self, from_ns: int, until_ns: int) -> int:
        """See `Callers.received`; frames that were decoded."""
        return sum(
            bisect.bisect_left(heard, until_ns) - bisect.bisect_left(heard, from_ns)
            for heard in self._heard
        )

    async def _connect(self, connection: RTCPeerConnection) -> None:
        await connection.setLocalDescription(await connection.createOffer())
        local = connection.localDescription
        answer = await self._http.post_json(
            self._offer_url,
            {"sdp": local.sdp, "type": local.type},
            {},
            timeout_s=OFFER_S,
            max_bytes=MAX_ANSWER_BYTES,
        )
        await connection.setRemoteDescription(RTCSessionDescription(**_description(answer.json())))

    async def _listen(self, track: MediaStreamTrack) -> None:
        heard = array("q")
        self._heard.append(heard)
        try:
            while True:
                await track.recv()
                heard.append(now_ns())
        except MediaStreamError:
            return


def _description(answer: dict[str, str]) -> dict[str, str]:
    return {"sdp": answer["sdp"], "type": answer["type"]}
