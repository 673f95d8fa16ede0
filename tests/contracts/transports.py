"""What every transport promises, as checks that real ones and the fake go through alike.

A test file brings a `Stage` for its transport and runs each of `CONTRACT` on a fresh one.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from shared.call import EndedReason, Step
from shared.errors import CallFailure
from shared.result import Reported
from tests.conftest import eventually
from worker.media.clock import now_ns
from worker.transports.transport import ReceivedPacket, Transport, TransportStatistics

SILENCE = b"\xf8\xff\xfe"
QUIET_DBOV = 127


class HeardLine:
    """A line that writes down everything it is told."""

    def __init__(self) -> None:
        self.packets: list[ReceivedPacket] = []
        self.reports: list[Reported] = []
        self.left: list[str] = []
        self.steps: list[Step] = []
        self.reached = {step: asyncio.Event() for step in (Step.SIGNALLING, Step.ICE)}

    def heard(self, packet: ReceivedPacket) -> None:
        self.packets.append(packet)

    def reported(self, report: Reported) -> None:
        self.reports.append(report)

    def agent_left(self, detail: str) -> None:
        self.left.append(detail)

    def step(self, step: Step) -> None:
        self.steps.append(step)
        self.reached[step].set()


class Stage(Protocol):
    """A transport under test and the agent at its other end."""

    def call(self) -> Transport:
        """A new transport to an agent that sends packets once it is connected and sent to."""

    def refused_call(self) -> tuple[Transport, Step, EndedReason]:
        """A transport that cannot connect, and how it must say so."""

    def agent_heard(self) -> list[bytes]:
        """Payloads that reached the agent of the last call, in order."""

    async def agent_hangs_up(self) -> None:
        """Make the agent of the last call leave."""


async def talk(transport: Transport, packets: int, marks: list[bytes] | None = None) -> None:
    """Send packets at the pace of a caller, silence or `marks`; returns with the last one."""
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    said = asyncio.Event()
    for frame in range(packets):
        payload = SILENCE + (marks[frame] if marks else b"")
        loop.call_at(start_s + 0.02 * frame, transport.send, payload, QUIET_DBOV)
    loop.call_at(start_s + 0.02 * (packets - 1) + 0.001, said.set)
    await said.wait()


async def steps_are_announced_in_order(stage: Stage) -> None:
    """Connecting announces signalling, then ICE, and is told apart by the agent's own name."""
    line, transport = HeardLine(), stage.call()
    await transport.connect(line)
    assert line.steps == [Step.SIGNALLING, Step.ICE]
    assert transport.join_keys()["pc_id"]
    assert line.left == []
    await transport.close()


async def packets_arrive_in_order(stage: Stage) -> None:
    """What is sent reaches the agent unchanged and in order."""
    transport = stage.call()
    await transport.connect(HeardLine())
    marks = [bytes([number]) for number in range(20)]
    await talk(transport, 20, marks)
    await eventually(lambda: len(stage.agent_heard()) == 20, "the agent hears 20 packets")
    assert stage.agent_heard() == [SILENCE + mark for mark in marks]
    await transport.close()


async def heard_packets_carry_their_times(stage: Stage) -> None:
    """Packets come with rising arrival times on the loop's clock and 960 ticks of RTP a frame."""
    line, transport = HeardLine(), stage.call()
    await transport.connect(line)
    connected_ns = now_ns()
    await talk(transport, 20)
    await eventually(lambda: len(line.packets) >= 20, "20 packets are heard")
    packets = line.packets[:20]
    arrivals = [packet.arrived_ns for packet in packets]
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] <= now_ns()
    assert arrivals[0] >= connected_ns - 1_000_000_000
    for one, other in itertools.pairwise(packets):
        assert (other.sequence - one.sequence) & 0xFFFF == 1
        assert (other.timestamp - one.timestamp) & 0xFFFFFFFF == 960
    assert {packet.payload for packet in packets} == {SILENCE}
    await transport.close()


async def leaving_is_told(stage: Stage) -> None:
    """An agent that ends the call is told to the line, and closing afterwards is fine."""
    line, transport = HeardLine(), stage.call()
    await transport.connect(line)
    await talk(transport, 3)
    await stage.agent_hangs_up()
    await eventually(lambda: bool(line.left), "the line is told that the agent left")
    transport.send(SILENCE, QUIET_DBOV)
    await transport.close()


async def closing_is_not_leaving(stage: Stage) -> None:
    """Our own hang-up is never told as the agent's; nothing is heard after it."""
    line, transport = HeardLine(), stage.call()
    await transport.connect(line)
    await talk(transport, 5)
    await eventually(lambda: bool(line.packets), "packets are heard")
    await transport.close()
    heard = len(line.packets)
    transport.send(SILENCE, QUIET_DBOV)
    await asyncio.sleep(0)
    assert line.left == []
    assert len(line.packets) == heard


async def close_is_idempotent(stage: Stage) -> None:
    """Closing twice, and at the same time, is closing once."""
    transport = stage.call()
    await transport.connect(HeardLine())
    await asyncio.gather(transport.close(), transport.close())
    await transport.close()


async def close_before_connect_is_fine(stage: Stage) -> None:
    """A call that never was can be closed, sent to and asked for its figures."""
    transport = stage.call()
    transport.send(SILENCE, QUIET_DBOV)
    await transport.close()
    assert transport.statistics() == TransportStatistics()
    assert transport.join_keys() == {}


async def statistics_outlive_the_call(stage: Stage) -> None:
    """Counts of the whole call stand after close, and a clean path loses nothing."""
    line, transport = HeardLine(), stage.call()
    await transport.connect(line)
    await talk(transport, 20)
    await eventually(lambda: len(line.packets) >= 20, "20 packets are heard")
    await transport.close()
    statistics = transport.statistics()
    assert statistics.packets_sent == 20
    assert statistics.packets_received == len(line.packets)
    assert statistics.packets_lost == 0
    assert 0 <= statistics.jitter_ms < 100


async def failing_names_step_and_reason(stage: Stage) -> None:
    """A connection that fails says at which step and why, and leaves nothing behind."""
    transport, step, reason = stage.refused_call()
    with pytest.raises(CallFailure) as failure:
        await transport.connect(HeardLine())
    assert (failure.value.step, failure.value.ended_reason) == (step, reason)
    await transport.close()


async def cancelled_connecting_leaves_nothing(stage: Stage) -> None:
    """Cancelling in the middle of connecting is a cancellation, and closing works after it."""
    for step in (Step.SIGNALLING, Step.ICE):
        line, transport = HeardLine(), stage.call()
        connecting = asyncio.create_task(transport.connect(line))
        await line.reached[step].wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await transport.close()


async def closing_while_connecting_fails_the_connection(stage: Stage) -> None:
    """A close from elsewhere ends connecting with a failure, never with silence."""
    for step in (Step.SIGNALLING, Step.ICE):
        line, transport = HeardLine(), stage.call()
        connecting = asyncio.create_task(transport.connect(line))
        await line.reached[step].wait()
        await transport.close()
        with pytest.raises(CallFailure):
            await connecting


async def no_task_outlives_close(stage: Stage) -> None:
    """Everything that a call started has ended once it is closed."""
    transport = stage.call()
    before = asyncio.all_tasks()
    line = HeardLine()
    await transport.connect(line)
    await talk(transport, 3)
    await transport.close()

    def only_servers_are_left() -> bool:
        return not {t for t in asyncio.all_tasks() - before if _is_ours(t)}

    await eventually(only_servers_are_left, "no task of the call is left")


def _is_ours(task: asyncio.Task[object]) -> bool:
    """Tasks of the stage's own web server are its own business."""
    return "aiohttp" not in repr(task.get_coro())


Check = Callable[[Stage], Awaitable[None]]
CONTRACT: list[Check] = [
    steps_are_announced_in_order,
    packets_arrive_in_order,
    heard_packets_carry_their_times,
    leaving_is_told,
    closing_is_not_leaving,
    close_is_idempotent,
    close_before_connect_is_fine,
    statistics_outlive_the_call,
    failing_names_step_and_reason,
    cancelled_connecting_leaves_nothing,
    closing_while_connecting_fails_the_connection,
    no_task_outlives_close,
]
