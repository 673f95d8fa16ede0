"""The verified fake: a transport in memory, to an agent that follows a script.

Owns loss, delay and jitter of the way between them; refuses real time: only the loop's timers are
used, so under a virtual clock half a minute of talk takes milliseconds. Held to the same contract
tests as the real transports.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable
from typing import Any

import msgspec

from shared.call import EndedReason, Step
from shared.errors import CallFailure
from shared.result import Reported
from worker.media.clock import now_ns
from worker.transports.loopback_agent import (
    SILENCE,
    Left,
    LoopbackAgent,
    LoopbackConversation,
    Refusal,
    Utterance,
)
from worker.transports.reception import Reception
from worker.transports.transport import Line, ReceivedPacket, TransportStatistics

__all__ = [
    "SILENCE",
    "LoopbackAgent",
    "LoopbackTransport",
    "Path",
    "Refusal",
    "Utterance",
]


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """The way of packets in one direction; the same seed loses and delays the same packets."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """Uniform between 0 and this, on top of the delay; packets may overtake each other."""
    loss: float = 0.0
    """Probability, 0 to 1, for each packet on its own."""
    lost: frozenset[int] = frozenset()
    """Packets (counted from 0) that are lost for certain."""
    seed: int = 0


class _Wire:
    """Delivers in order of arrival; packets of equal time arrive as they were sent."""

    def __init__(self, path: Path, deliver: Callable[..., None]) -> None:
        self._path = path
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._chance = random.Random(path.seed)
        self._flying: list[tuple[float, int, tuple[Any, ...]]] = []
        self._sent = 0
        self._cut = False

    def send(self, *what: Any) -> None:
        """Put something on the wire; the first argument of `deliver` onwards."""
        number, self._sent = self._sent, self._sent + 1
        # Both are drawn for every packet, so that more loss does not reshuffle the delays.
        lost = self._chance.random() < self._path.loss
        jitter_ms = self._chance.uniform(0.0, self._path.jitter_ms)
        if lost or number in self._path.lost or self._cut:
            return
        arrives_s = self._loop.time() + (self._path.delay_ms + jitter_ms) / 1000
        heapq.heappush(self._flying, (arrives_s, number, what))
        self._loop.call_at(arrives_s, self._arrive)

    def cut(self) -> None:
        """Nothing on the way arrives any more."""
        self._cut = True
        self._flying.clear()

    def _arrive(self) -> None:
        if self._flying:  # one timer for each packet in flight: the earliest is this one's
            self._deliver(*heapq.heappop(self._flying)[2])


class LoopbackTransport:
    """A call to `agent`; `up` is the caller's way to it, `down` the way back.

    `conversation` is None until connected; tests read there what the agent heard.
    """

    def __init__(
        self, agent: LoopbackAgent, *, up: Path | None = None, down: Path | None = None
    ) -> None:
        self._agent = agent
        self._up_path, self._down_path = up or Path(), down or Path()
        self._up: _Wire | None = None
        self._down: _Wire | None = None
        self._words: _Wire | None = None
        self._line: Line | None = None
        self._reception = Reception()
        self._sent = 0
        self._closed = False
        self.conversation: LoopbackConversation | None = None

    async def connect(self, line: Line) -> None:
        """See `Transport.connect`."""
        if self._closed or self._line is not None:
            raise CallFailure(EndedReason.INTERNAL_ERROR, Step.SIGNALLING, "connected twice")
        self._line = line
        for step, takes_ms in (
            (Step.SIGNALLING, self._agent.signalling_ms),
            (Step.ICE, self._agent.ice_ms),
        ):
            line.step(step)
            await asyncio.sleep(takes_ms / 1000)
            refusal = self._agent.refusal
            if refusal is not None and refusal.step == step:
                raise CallFailure(refusal.ended_reason, step, refusal.detail)
        if self._closed:
            raise CallFailure(EndedReason.ICE_FAILED, Step.ICE, "closed while connecting")
        self._meet()

    def send(self, payload: bytes, level_dbov: int) -> None:
        """See `Transport.send`."""
        if self._up is not None and not self._closed:
            self._sent += 1
            self._up.send(payload, level_dbov)

    def join_keys(self) -> dict[str, str]:
        """One made-up key, as a real agent would give."""
        return {"pc_id": "loopback"} if self.conversation is not None else {}

    def statistics(self) -> TransportStatistics:
        """See `Transport.statistics`."""
        round_trip_ms = self._up_path.delay_ms + self._down_path.delay_ms
        return TransportStatistics(
            packets_sent=self._sent,
            packets_received=self._reception.packets,
            packets_lost=self._reception.lost,
            jitter_ms=self._reception.jitter_ms,
            round_trip_ms=round_trip_ms if self.conversation is not None else None,
        )

    async def close(self) -> None:
        """See `Transport.close`."""
        self._closed = True
        if self.conversation is not None:
            self.conversation.stop()
        for wire in (self._up, self._down, self._words):
            if wire is not None:
                wire.cut()

    def agent_hangs_up(self) -> None:
        """Make the agent leave now, whatever its script says."""
        if self.conversation is not None:
            self.conversation.hang_up()

    def _meet(self) -> None:
        self._down = _Wire(self._down_path, self._arrived)
        # As on a data channel: late like the packets, but never lost and always in order.
        self._words = _Wire(Path(delay_ms=self._down_path.delay_ms), self._told)
        self.conversation = LoopbackConversation(
            self._agent, send=self._down.send, tell=self._words.send
        )
        self._up = _Wire(self._up_path, self.conversation.hear)
        self.conversation.start()

    def _arrived(self, sequence: int, timestamp: int, payload: bytes) -> None:
        arrived_ns = now_ns()
        self._reception.add(1, sequence, timestamp, arrived_ns)
        if self._line is not None:
            self._line.heard(ReceivedPacket(arrived_ns, sequence, timestamp, payload))

    def _told(self, what: Reported | Left) -> None:
        if self._line is None:
            return
        if isinstance(what, Left):
            self._line.agent_left(what.detail)
        else:
            self._line.reported(what)
