"""When a packet passed the socket: the kernel's own stamp, on the loop's clock. Linux only.

Owns the stamps of audio packets between the socket and whoever reads them; refuses to delay or drop
anything. Where the kernel gives no stamp, the time of reading stands in, which is later by however
long the loop was busy.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from worker.media.clock import now_ns

_SIOCGSTAMPNS: Final = 0x8907
"""Linux, socket(7): when the packet that was last handed to this socket's reader arrived."""
_TIMESPEC: Final = struct.Struct("@ll")
_OLDEST_NS: Final = 5_000_000_000
"""A stamp further back is a stepped wall clock, not a packet that waited."""
_KEPT: Final = 512


class _Receiver(Protocol):
    """An asyncio datagram protocol with its transport, as aioice has."""

    transport: asyncio.DatagramTransport

    def datagram_received(self, data: bytes, addr: Any) -> None: ...


class Arrivals:
    """Arrival times by RTP source and sequence number, which SRTP leaves in the clear."""

    def __init__(self) -> None:
        self._stamps: dict[bytes, int] = {}

    def watch(self, receiver: _Receiver, take: Callable[[bytes], bool] = lambda _: False) -> None:
        """Stamp what `receiver` is given from now on, before it sees it.

        What `take` takes (RTP or RTCP, already stamped) the receiver does not see at all.
        """
        found = receiver.transport.get_extra_info("socket")
        if found is None or found.type != socket.SOCK_DGRAM:
            return  # a relay: its packets arrive inside another protocol
        stamp = _kernel_stamp(found.fileno())
        if stamp is None:
            return
        pass_on = receiver.datagram_received

        def stamped(data: bytes, addr: Any) -> None:
            if len(data) >= 12 and data[0] >> 6 == 2:  # RTP or RTCP (RFC 7983)
                self._note(data[8:12] + data[2:4], stamp())
                if take(data):
                    return
            pass_on(data, addr)

        setattr(receiver, "datagram_received", stamped)  # noqa: B010 - a method, to the type checker

    def take(self, source: int, sequence: int) -> int:
        """When that packet arrived, in nanoseconds of `worker.media.clock`; now, if unknown."""
        arrived_ns = self._stamps.pop(struct.pack("!IH", source, sequence), None)
        return now_ns() if arrived_ns is None else arrived_ns

    def _note(self, key: bytes, arrived_ns: int) -> None:
        if len(self._stamps) >= _KEPT:  # RTCP, and what could not be decrypted, is never taken
            self._stamps.pop(next(iter(self._stamps)))
        self._stamps[key] = arrived_ns


def _kernel_stamp(descriptor: int) -> Callable[[], int] | None:
    """A function that dates the packet just read, or None where the kernel keeps no stamps."""
    buffer = bytearray(_TIMESPEC.size)
    try:
        fcntl.ioctl(descriptor, _SIOCGSTAMPNS, buffer)
    except FileNotFoundError:
        pass  # the first request turns stamping on; there was no packet yet
    except OSError:
        return None

    def stamp() -> int:
        now = now_ns()
        try:
            fcntl.ioctl(descriptor, _SIOCGSTAMPNS, buffer)
        except OSError:
            return now
        seconds, nanoseconds = _TIMESPEC.unpack(buffer)
        waited_ns = time.time_ns() - (seconds * 1_000_000_000 + nanoseconds)
        return now - waited_ns if 0 <= waited_ns < _OLDEST_NS else now

    return stamp
