"""When the agent's packets are heard. Owns the rule that makes arrivals and RTP time one clock.

Neither alone is right. Timestamps alone fail for agents that send nothing while they are silent:
some let RTP time stand still over the pause and then send faster than real time (Pipecat with
`auto_silence=False`), others let it run on (DTX, LiveKit). Arrival alone carries every jitter and
burst into the middle of a word. The rule:

1. The first packet begins at its arrival; the ones after it follow RTP time.
2. An audible onset after a pause is anchored anew, on its own arrival. A pause is 200 ms or more
   without audible sound, of which the last 200 ms took their time on the wire: neither a pause
   inside a burst nor a stall in the middle of a word is one. An anchor may move back (to undo the
   lag that a stall left), but 200 ms of the pause stay. Where the line shakes (of the packets
   before it, half took over 5 ms longer than the quickest one), its own delay of up to 60 ms is
   taken off: it lies where the quickest of them would have brought it.
3. A packet more than 500 ms later than predicted, and one whose timestamp jumps in a way that its
   arrival contradicts, are anchored on their arrival.
4. Nothing begins before the end of what was audible; between onsets packets follow RTP time alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from worker.transports.transport import ReceivedPacket

PAUSE_NS = 200_000_000
LATE_NS = 500_000_000
REAL_TIME_NS = 150_000_000
"""200 ms of stream that arrived in less than this came in a burst."""
SHAKEN_NS = 5_000_000
MAX_SHAKEN_NS = 60_000_000
"""An arrival further behind the quickest one is no jitter: RTP time stood still, or a stall."""
TRANSITS = 64
TRANSITS_NEEDED = 12
RESTART_PACKETS = 3000
"""A sequence number this far off is a new stream (RFC 3550, appendix A.1: MAX_DROPOUT)."""


def samples_ns(samples: int) -> int:
    """Length of samples at 48 kHz."""
    return samples * 62_500 // 3


def signed(difference: int, bits: int) -> int:
    """A difference of counters that wrap at `bits`, as the nearest signed number."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half


class Placement:
    """Places one stream, packet by packet, in order of sequence."""

    def __init__(self) -> None:
        self._last: ReceivedPacket | None = None
        self._last_samples = 0
        self._begin_ns = 0
        self._audible_end_ns = 0
        self._audible_arrived_ns = 0
        self._audible = False
        self._recent: deque[tuple[int, int]] = deque(maxlen=128)
        self._rtp_ns = 0
        """RTP time, from the first packet of the stream."""
        self._transits_ns: deque[int] = deque(maxlen=TRANSITS)
        """Arrival minus RTP time of the last packets; only their differences mean anything."""

    @property
    def end_ns(self) -> int:
        """Where the packet placed last ends; 0 before the first one."""
        return self._begin_ns + samples_ns(self._last_samples)

    def place(self, packet: ReceivedPacket, samples: int, *, audible: bool) -> int | None:
        """Clock time at which the packet's first sample is heard; None: a duplicate, or too late.

        `samples`: what it decodes to at 48 kHz. `audible`: some of it is over -45 dBFS.
        """
        last = self._last
        if last is None:
            begin_ns = packet.arrived_ns
            self._audible_end_ns = begin_ns
            self._audible_arrived_ns = begin_ns
        else:
            steps = signed(packet.sequence - last.sequence, 16)
            if -RESTART_PACKETS < steps <= 0:
                return None
            begin_ns = self._following(last, packet, steps, audible=audible)
        self._last = packet
        self._last_samples = samples
        self._begin_ns = begin_ns
        self._audible = audible
        self._recent.append((packet.arrived_ns, begin_ns))
        self._transits_ns.append(packet.arrived_ns - self._rtp_ns)
        if audible:
            self._audible_end_ns = begin_ns + samples_ns(samples)
            self._audible_arrived_ns = packet.arrived_ns
        return begin_ns

    def _following(
        self, last: ReceivedPacket, packet: ReceivedPacket, steps: int, *, audible: bool
    ) -> int:
        passed = signed(packet.timestamp - last.timestamp, 32)
        arrived_ns = packet.arrived_ns
        predicted_ns = self._begin_ns + samples_ns(passed)
        self._rtp_ns += samples_ns(passed)
        if self._contradicts(last, packet, steps, passed):
            self._transits_ns.clear()
            return max(arrived_ns, self._audible_end_ns)
        if arrived_ns - predicted_ns > LATE_NS:
            return arrived_ns
        if audible and self._ends_pause(arrived_ns, predicted_ns):
            kept_ns = min(PAUSE_NS, predicted_ns - self._audible_end_ns)
            return max(arrived_ns - self._shaken_ns(arrived_ns), self._audible_end_ns + kept_ns)
        return max(predicted_ns, self._audible_end_ns)

    def _shaken_ns(self, arrived_ns: int) -> int:
        """How much longer than the quickest packet before it this one took, by jitter."""
        if len(self._transits_ns) < TRANSITS_NEEDED:
            return 0
        ordered = sorted(self._transits_ns)
        if ordered[len(ordered) // 2] - ordered[0] < SHAKEN_NS:
            return 0
        behind_ns = arrived_ns - self._rtp_ns - ordered[0]
        return behind_ns if 0 < behind_ns <= MAX_SHAKEN_NS else 0

    def _contradicts(
        self, last: ReceivedPacket, packet: ReceivedPacket, steps: int, passed: int
    ) -> bool:
        if abs(steps) >= RESTART_PACKETS or passed <= 0:
            return True
        jump_ns = samples_ns(passed - steps * self._last_samples)
        early_ns = samples_ns(passed) - (packet.arrived_ns - last.arrived_ns)
        return jump_ns > LATE_NS and early_ns > LATE_NS

    def _ends_pause(self, arrived_ns: int, predicted_ns: int) -> bool:
        if self._audible and predicted_ns <= self._audible_end_ns:
            return False
        if arrived_ns - self._audible_arrived_ns < PAUSE_NS:
            return False
        recent = self._recent
        while len(recent) > 1 and recent[1][1] <= predicted_ns - PAUSE_NS:
            recent.popleft()
        return arrived_ns - recent[0][0] >= REAL_TIME_NS


def in_order(packets: Iterable[ReceivedPacket]) -> list[ReceivedPacket]:
    """By sequence number, without duplicates; a stream that follows another stays behind it."""
    extended: dict[int, ReceivedPacket] = {}
    newest = 0
    newest_sequence: int | None = None
    for packet in packets:
        if newest_sequence is None:
            number = 0
        else:
            steps = signed(packet.sequence - newest_sequence, 16)
            number = newest + (1 if abs(steps) >= RESTART_PACKETS else steps)
            if abs(steps) >= RESTART_PACKETS:
                newest_sequence = None  # so that the next line takes the new stream's numbers
        if newest_sequence is None or number > newest:
            newest = number
            newest_sequence = packet.sequence
        extended.setdefault(number, packet)
    return [extended[number] for number in sorted(extended)]
