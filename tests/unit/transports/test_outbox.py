"""RTP time of what is sent."""

from __future__ import annotations

import asyncio

from tests.virtual_time import run_virtually
from worker.transports.outbox import Outbox


def stamps(puts_ms: list[int]) -> list[int]:
    """Timestamps, in frames, of packets that are put at these times."""

    async def put_all() -> list[int]:
        loop, outbox, over = asyncio.get_running_loop(), Outbox(), asyncio.Event()
        start_s = loop.time()
        for at_ms in puts_ms:
            loop.call_at(start_s + at_ms / 1000, outbox.put, b"x", 127)
        loop.call_at(start_s + puts_ms[-1] / 1000 + 0.001, over.set)
        await over.wait()
        return [(await outbox.take()).timestamp // 960 for _ in range(len(puts_ms))]

    return run_virtually(put_all())


def test_frames_are_960_samples_apart_however_they_come() -> None:
    """Lateness and short bursts are the wire's, not the sound's."""
    assert stamps([0, 20, 47, 60, 200, 200, 200]) == [0, 1, 2, 3, 4, 5, 6]


def test_skipped_frames_leave_a_gap() -> None:
    """After a stall that was skipped, RTP time is the wall's again."""
    assert stamps([0, 20, 1000, 1020]) == [0, 1, 50, 51]


def test_a_stuck_sender_keeps_the_newest_second() -> None:
    """Nothing grows without bound, and what was dropped is counted."""

    async def overfill() -> tuple[int, int]:
        outbox = Outbox()
        for number in range(60):
            outbox.put(bytes([number]), 127)
        return outbox.dropped, (await outbox.take()).payload[0]

    assert run_virtually(overfill()) == (10, 10)


def test_a_waiting_sender_wakes_for_the_next_packet() -> None:
    """And one that was cancelled leaves nothing broken behind."""

    async def wake() -> bytes:
        outbox = Outbox()
        taking = asyncio.create_task(outbox.take())
        await asyncio.sleep(0)
        taking.cancel()
        await asyncio.wait([taking])
        outbox.put(b"first", 127)
        return (await outbox.take()).payload

    assert run_virtually(wake()) == b"first"
