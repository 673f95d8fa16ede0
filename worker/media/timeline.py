"""Both sides of a call on one clock. Owns where each frame lies; refuses to judge what it holds.

0 is the moment the call's media connected. The caller's frames lie on the ticker's schedule; the
agent's are placed by `worker.media.placement`. Encoded sound is kept as it travelled: Opus's own
6.5 ms are inside, on both sides.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt
import soxr

from worker.media.clip import PACKET_NS
from worker.media.loudness import AUDIBLE_DBFS
from worker.media.opus import RATE_HZ, MonoDecoder, OpusError, Samples
from worker.media.placement import Placement, in_order
from worker.media.spool import SentPacket, Spool
from worker.transports.transport import ReceivedPacket

MEASURE_HZ = 16_000
_AUDIBLE_SAMPLE = int(32768 * 10 ** (AUDIBLE_DBFS / 20))


class PlacedFrame(msgspec.Struct, frozen=True, gc=False):
    """One packet and where it begins."""

    at_ns: int
    """From connected media; negative for what came before it."""
    payload: bytes


class Timeline(msgspec.Struct, frozen=True):
    """A finished call."""

    duration_ms: float
    connected_ns: int
    caller: list[PlacedFrame]
    agent: list[PlacedFrame]
    """In order of sequence; later frames replace silence that an earlier one put in their place."""
    agent_samples: Samples
    """48 kHz mono, exactly `duration_ms` long, silence where nothing came."""
    corrupt: int
    """Packets of the agent that do not decode; they are in no other field."""

    @classmethod
    def of(cls, spool: Spool, connected_ns: int, ended_ns: int) -> Timeline:
        """Place a spool's packets; both times are on `worker.media.clock`.

        Raises ValueError if the call ended before it began.
        """
        if ended_ns < connected_ns:
            raise ValueError("the call ended before its media connected")
        duration_ns = ended_ns - connected_ns
        line = np.zeros(math.ceil(duration_ns * RATE_HZ / 1e9), np.int16)
        agent, corrupt = _place(spool.received, connected_ns, line)
        return cls(
            duration_ms=duration_ns / 1e6,
            connected_ns=connected_ns,
            caller=_scheduled(spool.sent, connected_ns),
            agent=agent,
            agent_samples=line,
            corrupt=corrupt,
        )

    def agent_pcm(self) -> npt.NDArray[np.float32]:
        """The agent at 16 kHz, mono, 1.0 = full scale; sample 0 is at 0 ms."""
        pcm: npt.NDArray[np.float32] = soxr.resample(
            self.agent_samples.astype(np.float32) / 32768.0, RATE_HZ, MEASURE_HZ
        )
        return pcm

    @property
    def caller_ms(self) -> float:
        """How far the caller's frames reach; 0.0 where there are none."""
        return (self.caller[-1].at_ns + PACKET_NS) / 1e6 if self.caller else 0.0

    @property
    def agent_ms(self) -> float:
        """How far the agent's side reaches, silence where nothing came included."""
        return len(self.agent_samples) * 1000 / RATE_HZ

    @property
    def slots(self) -> int:
        """20 ms slots that hold the whole call."""
        return math.ceil(self.duration_ms * 1e6 / PACKET_NS)


def _scheduled(sent: list[SentPacket], connected_ns: int) -> list[PlacedFrame]:
    return [PlacedFrame(packet.due_ns - connected_ns, packet.payload) for packet in sent]


def _place(
    received: list[ReceivedPacket], connected_ns: int, line: Samples
) -> tuple[list[PlacedFrame], int]:
    """Placed frames and the number of corrupt ones; fills `line` with what they decode to."""
    decoder, placement = MonoDecoder(), Placement()
    placed: list[PlacedFrame] = []
    corrupt = 0
    for packet in in_order(received):
        try:
            samples = decoder.decode(packet.payload)
        except OpusError:
            corrupt += 1
            continue
        audible = (
            bool(len(samples)) and int(np.abs(samples.astype(np.int32)).max()) > _AUDIBLE_SAMPLE
        )
        begin_ns = placement.place(packet, len(samples), audible=audible)
        if begin_ns is None:
            continue
        at_ns = begin_ns - connected_ns
        placed.append(PlacedFrame(at_ns, packet.payload))
        _lay(line, samples, round(at_ns * RATE_HZ / 1e9))
    return placed, corrupt


def _lay(line: Samples, samples: Samples, at: int) -> None:
    """Write `samples` at index `at`, as far as they lie on the line."""
    begin, end = max(at, 0), min(at + len(samples), len(line))
    if begin < end:
        line[begin:end] = samples[begin - at : end - at]
