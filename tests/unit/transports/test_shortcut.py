"""The way past queue and task."""

from __future__ import annotations

import asyncio
import struct
from typing import cast

import pylibsrtp
import pytest

from worker.transports.shortcut import shortcut

RTP = struct.pack("!BBHII", 0x80, 96, 1, 960, 7) + b"sound"
RTCP = struct.pack("!BBHI", 0x80, 201, 1, 7)


class Keys:
    def unprotect(self, data: bytes) -> bytes:
        if data.endswith(b"forged"):
            raise pylibsrtp.Error(7)
        return data


class Way:
    def __init__(self) -> None:
        self.keys: Keys | None = Keys()
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.handled: list[bytes] = []
        self.waits = False
        self.take = shortcut(
            keys=lambda: cast("pylibsrtp.Session", self.keys),
            queue=self.queue,
            handle=self.handle,
        )

    async def handle(self, plain: bytes, **_: int) -> None:
        if self.waits:
            await asyncio.Event().wait()
        self.handled.append(plain)


async def test_a_packet_reaches_its_receiver_before_take_returns() -> None:
    """No turn of the loop lies between."""
    way = Way()
    assert way.take(RTP)
    assert way.handled == [RTP]


async def test_what_is_not_for_the_shortcut_goes_the_long_way() -> None:
    """RTCP, packets before the keys, and packets behind others in the queue."""
    way = Way()
    assert not way.take(RTCP)
    way.keys = None
    assert not way.take(RTP)
    way.keys = Keys()
    way.queue.put_nowait(RTP)
    assert not way.take(RTP)
    assert way.handled == []


async def test_what_cannot_be_decrypted_is_dropped() -> None:
    """As on the long way, without a word."""
    way = Way()
    assert way.take(RTP + b"forged")
    assert way.handled == []


async def test_a_receiver_that_waits_is_an_error_not_a_lost_packet() -> None:
    """An aiortc that changed shows at once."""
    way = Way()
    way.waits = True
    with pytest.raises(RuntimeError):
        way.take(RTP)
