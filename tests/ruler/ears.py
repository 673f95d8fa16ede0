"""When the caller's sound reached the ruler's socket. Owns arrival stamps and edges."""

from __future__ import annotations

import fcntl
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from aiortc import RTCRtpReceiver

from tests.ruler.journal import Heard
from tests.ruler.sounds import audible_ms, decoded, decoder

SIOCGSTAMPNS = 0x8907
"""Linux, socket(7): when the datagram read last from this socket reached it, by the wall clock."""
PAUSE_NS = 400_000_000
"""Sounds further apart are stretches of their own."""


class Ears:
    """Stands where aiortc has its jitter buffer, and hears every packet at once.

    `on_sound(stretch, is_new)` is called for each packet with something audible in it.
    """

    def __init__(self, on_sound: Callable[[Heard, bool], None]) -> None:
        self.heard: list[Heard] = []
        self._on_sound = on_sound
        self._decoder = decoder()
        self._stamps: dict[bytes, int] = {}

    def listen_to(self, receiver: RTCRtpReceiver) -> None:
        """Take the receiver's packets as they arrive."""
        receiver._RTCRtpReceiver__jitter_buffer = self  # type: ignore[attr-defined]

    def stamp(self, socket_protocol: Any) -> None:
        """Date the datagrams of one of aioice's sockets, before it reads them."""
        found = socket_protocol.transport.get_extra_info("socket").fileno()
        read = socket_protocol.datagram_received
        _kernel_stamp_ns(found)  # the first request turns stamping on

        def stamped(data: bytes, address: Any) -> None:
            if len(data) >= 12 and data[0] >> 6 == 2:
                if len(self._stamps) > 500:
                    self._stamps.clear()
                self._stamps[data[2:4] + data[8:12]] = _kernel_stamp_ns(found)
            read(data, address)

        socket_protocol.datagram_received = stamped

    def add(self, packet: Any) -> tuple[bool, None]:
        """What aiortc calls for each RTP packet; its name and answer are the jitter buffer's."""
        key = struct.pack("!HI", packet.sequence_number, packet.ssrc)
        arrived_ns = self._stamps.pop(key, None) or time.monotonic_ns()
        if packet._data:
            ms = np.flatnonzero(audible_ms(decoded(self._decoder, packet._data)))
            if len(ms):
                self._hear(arrived_ns + int(ms[0]) * 10**6, arrived_ns + int(ms[-1] + 1) * 10**6)
        return False, None

    def _hear(self, start_ns: int, end_ns: int) -> None:
        is_new = not self.heard or start_ns - self.heard[-1].end_ns > PAUSE_NS
        if is_new:
            self.heard.append(Heard(start_ns=start_ns, end_ns=end_ns))
        self.heard[-1].end_ns = end_ns
        self._on_sound(self.heard[-1], is_new)


def _kernel_stamp_ns(descriptor: int) -> int:
    """On CLOCK_MONOTONIC; now, where there is none."""
    now_ns = time.monotonic_ns()
    buffer = bytearray(16)
    try:
        fcntl.ioctl(descriptor, SIOCGSTAMPNS, buffer)
    except OSError:
        return now_ns
    seconds, nanoseconds = struct.unpack("@ll", buffer)
    waited_ns = time.time_ns() - (seconds * 10**9 + nanoseconds)
    return now_ns - waited_ns if 0 <= waited_ns < 5 * 10**9 else now_ns
