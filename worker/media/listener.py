"""Whether the agent is speaking, live. Owns detection by energy; precise it is not.

A block is 20 ms of sound, or a whole packet if that is shorter. Speech begins when 2 of 3 blocks
are over the threshold, max(-45 dBFS, floor + 10 dB), and ends after 200 ms under it (by 6 dB) or
without packets. The floor follows the quietest sound quickly down and slowly up: right for clean
synthetic voices, blind in heavy noise. Edges come out when their time has come: an agent that
sends faster than real time is heard at the pace of its sound.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

import msgspec
import numpy as np

from worker.media.loudness import AUDIBLE_DBFS, SILENT_DBFS, audible_edges_ms
from worker.media.opus import FRAME_SAMPLES, LOOKAHEAD_MS, RATE_HZ, MonoDecoder, OpusError, Samples
from worker.media.placement import Placement, samples_ns
from worker.transports.transport import ReceivedPacket

SILENCE_NS = 200_000_000
ABOVE_FLOOR_DB = 10.0
HYSTERESIS_DB = 6.0
MAX_ON_DBFS = -30.0
"""No floor makes speech at an ordinary level inaudible."""
LOWEST_FLOOR_DBFS = -80.0
FLOOR_FALL = 0.3
FLOOR_RISE_DB_PER_S = 5.0
LOOKAHEAD_NS = int(LOOKAHEAD_MS * 1e6)
_BLOCK_S = 0.02


class Edge(msgspec.Struct, frozen=True, gc=False):
    """The agent began or stopped to be audible."""

    kind: Literal["started", "stopped"]
    at_ns: int
    """Clock time of the first, or of the last, audible sound; declared up to 200 ms later."""


class Listener:
    """Hears one agent."""

    def __init__(self) -> None:
        self.corrupt = 0
        """Packets that no decoder understood."""
        self._decoder = MonoDecoder()
        self._placement = Placement()
        self._floor_dbfs = LOWEST_FLOOR_DBFS
        self._onsets: deque[int | None] = deque(maxlen=3)
        self._inside = False
        self._speaking = False
        self._last_loud: tuple[int, Samples] = (0, np.zeros(0, np.int16))
        self._heard_until_ns = 0
        self._due: deque[Edge] = deque()

    @property
    def speaking(self) -> bool:
        """The agent is audible by all edges given out so far."""
        return self._speaking

    def hear(self, packet: ReceivedPacket) -> Edge | None:
        """Take a packet in arrival order; never raises. Gives the next edge whose time has come."""
        try:
            samples = self._decoder.decode(packet.payload)
        except OpusError:
            self.corrupt += 1
            return self._next_due(packet.arrived_ns)
        level_dbfs = _level_dbfs(samples)
        audible = level_dbfs > AUDIBLE_DBFS
        begin_ns = self._placement.place(packet, len(samples), audible=audible)
        if begin_ns is not None:
            for at in range(0, len(samples), FRAME_SAMPLES):
                block = samples[at : at + FRAME_SAMPLES]
                if len(block) < len(samples):
                    level_dbfs = _level_dbfs(block)
                self._take(block, level_dbfs, begin_ns + samples_ns(at) - LOOKAHEAD_NS)
            self._heard_until_ns = max(packet.arrived_ns, self._placement.end_ns)
        return self._next_due(packet.arrived_ns)

    def tick(self, now_ns: int) -> Edge | None:
        """Notice what time alone tells; call once per frame. Gives the next edge that is due."""
        if self._inside and now_ns - self._heard_until_ns >= SILENCE_NS:
            self._stop()
        return self._next_due(now_ns)

    def _take(self, block: Samples, level_dbfs: float, begin_ns: int) -> None:
        on_dbfs = min(MAX_ON_DBFS, max(AUDIBLE_DBFS, self._floor_dbfs + ABOVE_FLOOR_DB))
        self._follow_floor(level_dbfs)
        end_ns = begin_ns + samples_ns(len(block))
        if self._inside:
            if level_dbfs > on_dbfs - HYSTERESIS_DB:
                self._last_loud = (begin_ns, block)
            elif end_ns - self._last_audible_ns() >= SILENCE_NS:
                self._stop()
            return
        self._onsets.append(begin_ns + _first_audible_ns(block) if level_dbfs > on_dbfs else None)
        loud = [onset for onset in self._onsets if onset is not None]
        if len(loud) >= 2:
            self._inside = True
            self._onsets.clear()
            self._last_loud = (begin_ns, block)
            self._due.append(Edge("started", loud[0]))

    def _follow_floor(self, level_dbfs: float) -> None:
        if level_dbfs < self._floor_dbfs:
            self._floor_dbfs += FLOOR_FALL * (level_dbfs - self._floor_dbfs)
        else:
            self._floor_dbfs += FLOOR_RISE_DB_PER_S * _BLOCK_S
        self._floor_dbfs = max(LOWEST_FLOOR_DBFS, self._floor_dbfs)

    def _stop(self) -> None:
        self._inside = False
        self._due.append(Edge("stopped", self._last_audible_ns()))

    def _last_audible_ns(self) -> int:
        begin_ns, block = self._last_loud
        return begin_ns + int(_edges_ms(block)[1] * 1e6)

    def _next_due(self, now_ns: int) -> Edge | None:
        if not self._due or self._due[0].at_ns > now_ns:
            return None
        edge = self._due.popleft()
        self._speaking = edge.kind == "started"
        return edge


def _level_dbfs(samples: Samples) -> float:
    if not len(samples):
        return SILENT_DBFS
    wide = samples.astype(np.float32)
    power = float(np.dot(wide, wide)) / len(wide)
    return 10.0 * math.log10(power) - 90.309 if power > 0.0 else SILENT_DBFS


def _edges_ms(block: Samples) -> tuple[float, float]:
    whole = (0.0, len(block) * 1000 / RATE_HZ)
    return audible_edges_ms(block.astype(np.float32) / 32768.0, RATE_HZ) or whole


def _first_audible_ns(block: Samples) -> int:
    return int(_edges_ms(block)[0] * 1e6)
