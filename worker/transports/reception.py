"""What one receiving socket counted: loss and jitter as RFC 3550 defines them. Knows no WebRTC.

Fed with every audio packet in arrival order; duplicates and reordering are expected.
"""

from __future__ import annotations

_CLOCK_HZ = 48_000
_HALF_SEQUENCE = 1 << 15
_RESTART_GAP = 3000
"""RFC 3550 A.1, MAX_DROPOUT: a longer jump is a sender that started anew."""
_PAUSE_NS = 200_000_000
"""A sender that said nothing for so long, and lost nothing, has paused: that is no jitter. Pipecat
bots that send no silence let their timestamps stand still meanwhile.
"""


class Reception:
    """Counts over all sources (SSRCs) that were heard, one after another."""

    def __init__(self) -> None:
        self.packets = 0
        self._source: int | None = None
        self._base = 0
        self._highest = 0
        self._from_source = 0
        self._lost_before = 0
        self._arrived_ns = 0
        self._transit: float | None = None
        self._jitter = 0.0

    def add(self, source: int, sequence: int, timestamp: int, arrived_ns: int) -> None:
        """Count a packet; `timestamp` is RTP at 48 kHz."""
        step = ((sequence - self._highest + _HALF_SEQUENCE) & 0xFFFF) - _HALF_SEQUENCE
        if source != self._source or abs(step) > _RESTART_GAP:
            self._lost_before = self.lost
            self._source, self._base, self._highest = source, sequence, sequence
            self._from_source, self._transit = 0, None
        elif step > 0:
            self._highest += step  # extended: counts the wraps of the 16-bit sequence number
        self.packets += 1
        self._from_source += 1
        paused = step == 1 and arrived_ns - self._arrived_ns > _PAUSE_NS
        self._settle(timestamp, arrived_ns, paused=paused)
        self._arrived_ns = arrived_ns

    def _settle(self, timestamp: int, arrived_ns: int, *, paused: bool) -> None:
        transit = arrived_ns * _CLOCK_HZ / 1e9 - timestamp
        if self._transit is not None and not paused:
            wrap = 1 << 32
            off = (transit - self._transit + wrap / 2) % wrap - wrap / 2
            self._jitter += (abs(off) - self._jitter) / 16
        self._transit = transit

    @property
    def lost(self) -> int:
        """RFC 3550 A.3: expected minus received, never below 0."""
        if self._source is None:
            return 0
        expected = self._highest - self._base + 1
        return self._lost_before + max(0, expected - self._from_source)

    @property
    def jitter_ms(self) -> float:
        """RFC 3550, section 6.4.1; a sender's pauses are left out."""
        return self._jitter * 1000 / _CLOCK_HZ
