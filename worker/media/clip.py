"""One utterance, sound or background as Opus packets. Owns the data, makes none."""

from __future__ import annotations

import msgspec

PACKET_MS = 20
PACKET_NS = PACKET_MS * 1_000_000


class Clip(msgspec.Struct, frozen=True, gc=False):
    """Immutable sound, encoded once and shared by every call that plays it.

    Times inside a clip count from the moment its first packet passes the socket: packet `k` covers
    20 ms from `20 * k` ms. The audible edges are where the sound itself (without background noise)
    crosses -45 dBFS, 6.5 ms of Opus look-ahead included: added to the time at which the first
    packet was sent they give the time at which the sound left the socket.
    """

    hash: str
    """Content hash of the request that made it: equal hashes are byte-identical clips."""
    packets: list[bytes]
    """20 ms mono Opus at 48 kHz each (RFC 6716 code 0)."""
    levels: bytes
    """RFC 6464 level of each packet: 0 (loudest) to 127 dB below overload (digital silence)."""
    audible_start_ms: float = 0.0
    """Both edges are 0.0 when nothing is audible."""
    audible_end_ms: float = 0.0

    @property
    def duration_ms(self) -> float:
        """Time that all packets take on the wire."""
        return float(len(self.packets) * PACKET_MS)
