"""Whole conversations with the loopback agent, in virtual time: ticker, packets and all."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from shared.call import Step
from shared.persona import Persona
from shared.plan import Limits
from shared.result import Reported
from shared.scenario import Scenario
from tests.unit.caller.rehearsal import CALM, hang_up, say, scenario, wait
from tests.virtual_time import run_virtually
from worker.caller.caller import Caller
from worker.caller.script import compile_script
from worker.media.clip import Clip
from worker.media.clock import now_ns
from worker.media.opus import encode_packets
from worker.media.ticker import Ticker
from worker.transports.loopback import SILENCE, LoopbackAgent, LoopbackTransport, Utterance
from worker.transports.transport import ReceivedPacket


def tone(length_ms: int) -> list[bytes]:
    t = np.arange(length_ms * 48) / 48_000
    return encode_packets((0.2 * np.sin(2 * np.pi * 330 * t)).astype(np.float32))


GREETING = Utterance(tone(1500), "Casa Lumina, good evening.")
REPLY = Utterance(tone(2400), "A table at seven, then.")
WORDS = tone(1200)
LIMITS = Limits(first_audio_s=5.0)


class Phone:
    """The least of a call: a caller on a transport, until one of the two hangs up."""

    def __init__(self, plan: Scenario, who: Persona, agent: LoopbackAgent) -> None:
        script = compile_script(plan, who, 7)
        loud = bytes([23] * len(WORDS))
        clips = {
            request.hash: Clip(request.hash, WORDS, loud, 6.5, 1200.0)
            for request in script.requests()
        }
        clips[script.bed.hash] = Clip(script.bed.hash, [SILENCE], bytes([127]))
        self.caller = Caller(script, clips, who, LIMITS)
        self._transport = LoopbackTransport(agent)
        self._connected_ns: int | None = None
        self._ended = asyncio.Event()
        self.sent: list[str | None] = []

    async def hold(self) -> Phone:
        await self._transport.connect(self)
        self._connected_ns = now_ns()
        self.caller.connected(self._connected_ns)
        ticker = Ticker()
        async with asyncio.TaskGroup() as group:
            pulse = group.create_task(ticker.run())
            seat = ticker.join(self._frame)
            async with asyncio.timeout(120):
                await self._ended.wait()
            seat.leave()
            pulse.cancel()
        await self._transport.close()
        return self

    def _frame(self, _index: int, _due_ns: int) -> None:
        sending = self.caller.frame(now_ns())
        self._transport.send(sending.payload, sending.level)
        self.sent.append(sending.clip_hash)
        if self.caller.ended is not None:
            self._ended.set()

    def heard(self, packet: ReceivedPacket) -> None:
        if self._connected_ns is not None:
            self.caller.heard(packet)

    def reported(self, report: Reported) -> None:
        at_ms = (now_ns() - (self._connected_ns or 0)) / 1e6
        self.caller.reported(Reported(at_ms=at_ms, kind=report.kind, text=report.text))

    def agent_left(self, detail: str) -> None:
        self.caller.agent_left(detail)
        self._ended.set()

    def step(self, step: Step) -> None:
        """Steps are the call's business."""


BOOKING = scenario(
    wait("Casa Lumina"),
    say("A table, please."),
    wait("seven"),
    say("And a quiet one.", 800),
    wait(),
    hang_up(),
)


def talk(agent: LoopbackAgent, plan: Scenario = BOOKING, who: Persona = CALM) -> Phone:
    async def held() -> Phone:
        return await Phone(plan, who, agent).hold()

    return run_virtually(held())


def polite(**behaviour: Any) -> LoopbackAgent:
    """Greets, replies, yields; `behaviour` changes one thing."""
    return LoopbackAgent(
        **{"greeting": GREETING, "replies": (REPLY,), "reports": True, **behaviour}
    )


def reason(phone: Phone) -> str:
    assert phone.caller.ended is not None
    return str(phone.caller.ended.ended_reason)


def test_a_polite_agent_is_talked_to_until_the_script_is_done() -> None:
    """Every line is said once, the answers are matched, and the caller hangs up."""
    plan = scenario(
        wait("Casa Lumina"), say("A table, please."), wait("seven"), say("Thanks."), hang_up()
    )
    phone = talk(polite(), plan)
    assert reason(phone) == "caller_hung_up"
    assert [turn.text for turn in phone.caller.caller_turns()] == ["A table, please.", "Thanks."]
    assert [check.outcome for check in phone.caller.script_checks()] == ["pass", "pass"]


def test_replies_come_at_the_personas_delay_after_the_agents_sound() -> None:
    """Greeting from 500 to 2000 ms, so the first word is due at 2900 ms."""
    phone = talk(polite())
    first = phone.caller.caller_turns()[0]
    assert first.start_ms == pytest.approx(2900, abs=30)


def test_an_agent_that_is_never_interrupted_in_time_prompts_the_caller_to_ask() -> None:
    """The agent has nothing more to say after its answer: the interruption waits for a prompt."""
    phone = talk(polite())
    kinds = [turn.kind for turn in phone.caller.caller_turns()]
    assert kinds == ["turn", "idle_prompt", "interrupt"]
    assert reason(phone) == "caller_hung_up"


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ({"greeting": None, "replies": ()}, "agent_never_spoke"),
        ({"max_replies": 1}, "agent_stopped_answering"),
        ({"leaves_at_ms": 4500.0}, "agent_hung_up_early"),
        ({"leaves_after_replies": 1}, "agent_hung_up_early"),
        ({"stops_after_ms": None}, "caller_hung_up"),
        ({"sends_silence": False}, "caller_hung_up"),
    ],
    ids=str,
)
def test_what_an_agent_does_decides_how_the_call_ends(
    behaviour: dict[str, Any], expected: str
) -> None:
    """One habit or fault at a time."""
    assert reason(talk(polite(**behaviour))) == expected


def test_the_same_call_twice_sends_the_same_clips_in_the_same_frames() -> None:
    """Same seed, same agent: the same packets, and the same decisions."""
    one, two = talk(polite()), talk(polite())
    assert one.sent == two.sent
    assert one.caller.decisions() == two.caller.decisions()


def test_a_slower_agent_changes_the_times_and_not_the_decisions() -> None:
    """How much silence lies between depends on the agent; what is said does not."""
    quick, slow = talk(polite()), talk(polite(reply_after_ms=3000.0))
    assert quick.sent != slow.sent
    assert quick.caller.decisions() == slow.caller.decisions()
