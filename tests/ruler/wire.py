"""Between the ruler and its socket: the bad network, and the record of what passed. Seeded."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from aiortc import RTCRtpSender

from tests.ruler.mouth import Mouth, Saying
from tests.ruler.orders import Orders


class Wire:
    """Takes the place of the sender's way to the transport. `tasks` owns the delayed packets."""

    def __init__(self, orders: Orders, mouth: Mouth, tasks: asyncio.TaskGroup) -> None:
        self.sent = 0
        self.lost = 0
        self._loss = orders.loss
        self._jitter_s = orders.jitter_ms / 1000
        self._chance = random.Random(orders.seed)
        self._mouth = mouth
        self._tasks = tasks

    def carry_for(self, sender: RTCRtpSender) -> None:
        """From now on this sender's packets go this way."""
        send = sender.transport._send_rtp

        async def carried(data: bytes) -> None:
            is_rtcp = 64 <= data[1] & 0x7F < 96  # RFC 5761, section 4
            await (send(data) if is_rtcp else self._carry(send, data))

        sender.transport._send_rtp = carried  # type: ignore[method-assign]

    async def _carry(self, send: Callable[[bytes], Awaitable[None]], data: bytes) -> None:
        saying = self._mouth.on_packet
        left_ns = time.monotonic_ns()
        at = -1
        if saying is not None:
            at = len(saying.left_ns)
            saying.left_ns.append(left_ns)
            saying.wire_ns.append(None)
        if self._chance.random() < self._loss:
            self.lost += 1
            return
        if self._jitter_s:
            delay_s = self._chance.uniform(0, self._jitter_s)
            self._tasks.create_task(self._later(delay_s, send, data, saying, at))
        else:
            await self._pass(send, data, saying, at)

    async def _later(
        self,
        delay_s: float,
        send: Callable[[bytes], Awaitable[None]],
        data: bytes,
        saying: Saying | None,
        at: int,
    ) -> None:
        await asyncio.sleep(delay_s)
        try:
            await self._pass(send, data, saying, at)
        except ConnectionError:
            self.lost += 1  # the call ended meanwhile

    async def _pass(
        self,
        send: Callable[[bytes], Awaitable[None]],
        data: bytes,
        saying: Saying | None,
        at: int,
    ) -> None:
        if saying is not None:
            saying.wire_ns[at] = time.monotonic_ns()
        await send(data)
        self.sent += 1
