"""Arrival times by the kernel."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import cast

from tests.conftest import eventually
from worker.media.clock import now_ns
from worker.transports.arrivals import Arrivals


class Ear(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.transport: asyncio.DatagramTransport
        self.got: list[bytes] = []
        self.is_closed = False

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_closed = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, _addr: object) -> None:
        self.got.append(data)


def rtp(source: int, sequence: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 96, sequence, 0, source) + b"sound"


async def test_packets_are_dated_by_their_arrival_not_their_reading() -> None:
    """A loop that was busy for 60 ms reads late; the stamps stay 20 ms apart."""
    loop = asyncio.get_running_loop()
    transport, ear = await loop.create_datagram_endpoint(Ear, local_addr=("127.0.0.1", 0))
    arrivals = Arrivals()
    arrivals.watch(ear)
    sent_ns = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for sequence in range(3):
            sent_ns.append(now_ns())
            out.sendto(rtp(7, sequence), transport.get_extra_info("sockname"))
            busy_until_s = time.monotonic() + 0.02
            while time.monotonic() < busy_until_s:
                pass
        out.sendto(b"\x00stun", transport.get_extra_info("sockname"))
    await eventually(lambda: len(ear.got) == 4, "four datagrams are read")
    for sequence, expected_ns in enumerate(sent_ns):
        assert abs(arrivals.take(7, sequence) - expected_ns) < 15_000_000
    transport.close()
    await eventually(lambda: ear.is_closed, "the socket is closed")


async def test_an_unknown_packet_is_dated_now() -> None:
    """Where there is no stamp, the time of reading stands in."""
    before_ns = now_ns()
    assert before_ns <= Arrivals().take(1, 1) <= now_ns()
