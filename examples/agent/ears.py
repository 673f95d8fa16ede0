"""Hearing that somebody speaks. Owns the energy detector; refuses to understand a word.

The level of each 20 ms packet is compared with the background: speech is what stands out of it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import av
import numpy as np
from aiortc import RTCRtpReceiver

SILENCE_DBFS = -60.0
ABOVE_FLOOR_DB = 7.0
"""Speech stands out of the background by this much."""
BELOW_PEAK_DB = 15.0
"""Once somebody speaks, sound this far below their loudest is background again."""
FIRST_FLOOR_DBFS = -20.0
"""Taken for background until it is known better: what sounds from the start is no speech."""
FLOOR_RISE_DB = 0.05
"""Per packet, so 2.5 dB a second: speech must not become its own background."""
FLOOR_FALL = 0.3
"""Share of the way down per packet: a lull shows the background."""
STARTED_AFTER = 13
"""Packets of speech (260 ms) before somebody counts as speaking: a cough is not a word."""
STOPPED_AFTER = 25
"""Packets of quiet (500 ms) before their turn counts as over: a breath is not an end."""


class Detector:
    """Levels in, speaking or not out: energy with an adaptive floor and two time constants."""

    def __init__(self) -> None:
        self.speaking = False
        self._level = SILENCE_DBFS
        self._floor = FIRST_FLOOR_DBFS
        self._peak = SILENCE_DBFS
        self._run = 0
        """Packets that speak against the present state."""

    def feed(self, level_dbfs: float) -> bool:
        """Take one packet's level; True when `speaking` changed."""
        self._level += (level_dbfs - self._level) / 3  # 60 ms: a babble of voices evens out
        above_floor_db = self._level - self._floor
        self._floor += min(above_floor_db * FLOOR_FALL, FLOOR_RISE_DB)
        threshold = self._floor + ABOVE_FLOOR_DB
        if self.speaking:
            self._peak = max(self._peak, self._level)
            threshold = max(threshold, self._peak - BELOW_PEAK_DB)
        if (self._level > threshold) is not self.speaking:
            self._run += 1
        else:  # a word in the quiet means that they talk on; a stop within a word means little
            self._run = 0 if self.speaking else max(0, self._run - 1)
        if self._run < (STOPPED_AFTER if self.speaking else STARTED_AFTER):
            return False
        self.speaking, self._run, self._peak = not self.speaking, 0, SILENCE_DBFS
        return True


class Ears:
    """The caller's audio, packet by packet, and what the detector makes of it.

    `on_change(speaking)` is called in the event loop. `turns` counts what the caller has finished
    saying, so that a turn which ended while nobody waited for it is not missed.
    """

    def __init__(self, on_change: Callable[[bool], None]) -> None:
        self.turns = 0
        self._on_change = on_change
        self._detector = Detector()
        self._speaking = asyncio.Event()
        self._turn_ended = asyncio.Event()
        self._decoder = _opus_decoder()

    def listen_to(self, receiver: RTCRtpReceiver) -> None:
        """Take the receiver's packets as they arrive.

        They are taken in place of aiortc's jitter buffer, as Pipecat does: that buffer holds 80 ms
        back at best, and 280 ms for the rest of the call once a packet was lost.
        """
        receiver._RTCRtpReceiver__jitter_buffer = self  # type: ignore[attr-defined] # noqa: SLF001

    def add(self, packet: Any) -> tuple[bool, None]:
        """Hear one RTP packet. The name and the result are those of aiortc's jitter buffer."""
        if packet._data and self._detector.feed(self._level_dbfs(packet._data)):  # noqa: SLF001
            if self._detector.speaking:
                self._speaking.set()
            else:
                self._speaking.clear()
                self.turns += 1
                self._turn_ended.set()
            self._on_change(self._detector.speaking)
        return False, None

    async def caller_starts(self) -> None:
        """Return when the caller speaks (at once when they already do)."""
        await self._speaking.wait()

    async def turn_after(self, turns: int) -> None:
        """Return when more than `turns` turns have been spoken and the caller is silent."""
        while self.turns <= turns or self._speaking.is_set():
            self._turn_ended.clear()
            await self._turn_ended.wait()

    def _level_dbfs(self, payload: bytes) -> float:
        try:
            frames = self._decoder.decode(av.Packet(payload))
        except av.FFmpegError:
            return SILENCE_DBFS  # not Opus: whatever it is, nobody speaks in it
        if not frames:
            return SILENCE_DBFS
        samples = frames[0].to_ndarray().astype(np.float32) / 32768
        return 10 * math.log10(max(float(np.mean(samples**2)), 1e-6))


def _opus_decoder() -> av.AudioCodecContext:
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.format, decoder.layout, decoder.sample_rate = "s16", "mono", 48_000
    return decoder
