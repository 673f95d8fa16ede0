"""The live part of a call against the loopback agent, in virtual time: watchdogs and boundaries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.call import EndedReason, Step
from shared.errors import CallFailure
from shared.plan import Limits
from shared.redaction import Redactor
from shared.result import Reported
from tests.unit.caller.rehearsal import CALM, hang_up, say, scenario, wait
from tests.unit.caller.test_conversations import GREETING, REPLY, WORDS
from tests.virtual_time import run_virtually
from worker.caller.caller import Caller
from worker.caller.script import compile_script
from worker.conversation import REPORTS_KEPT, Conversation, Ending
from worker.media.clip import Clip
from worker.media.spool import SpoolWriter, read_spool
from worker.media.ticker import Ticker
from worker.steps import Steps
from worker.transports.loopback import (
    SILENCE,
    LoopbackAgent,
    LoopbackTransport,
    Refusal,
)
from worker.transports.loopback import (
    Path as Wire,
)

PLAN = scenario(wait(), say("A table, please."), wait(), hang_up())
GOOD = LoopbackAgent(greeting=GREETING, replies=(REPLY,))


class Stage:
    """A conversation with everything around it, held to its end."""

    def __init__(self, agent: LoopbackAgent, spool: Path, limits: Limits, secret: str) -> None:
        script = compile_script(PLAN, CALM, 7)
        clips = {
            sound.hash: Clip(sound.hash, WORDS, bytes([23] * len(WORDS)), 6.5, 1200.0)
            for sound in script.requests()
        }
        clips[script.bed.hash] = Clip(script.bed.hash, [SILENCE], bytes([127]))
        self.steps = Steps()
        self.transport = LoopbackTransport(agent)
        self.caller = Caller(script, clips, CALM, limits)
        self.writer = SpoolWriter(spool)
        self.conversation = Conversation(
            self.caller,
            self.transport,
            self.writer,
            limits,
            self.steps,
            Redactor({"TOKEN": secret}),
        )

    async def hold(self, meanwhile: Callable[[Stage], None] | None = None) -> Ending:
        ticker = Ticker()
        async with asyncio.TaskGroup() as group:
            pulse = group.create_task(ticker.run())
            try:
                if meanwhile is not None:
                    asyncio.get_running_loop().call_later(2.0, meanwhile, self)
                await self.conversation.connect()
                return await self.conversation.hold(ticker)
            finally:
                await self.transport.close()
                self.writer.close()
                pulse.cancel()


def held(
    agent: LoopbackAgent,
    spool: Path,
    *,
    limits: Limits | None = None,
    meanwhile: Callable[[Stage], None] | None = None,
) -> tuple[Stage, Ending]:
    """A conversation with `agent`; `meanwhile` happens two seconds in."""

    async def main() -> tuple[Stage, Ending]:
        stage = Stage(agent, spool, limits or Limits(), "s3cret-value")
        return stage, await stage.hold(meanwhile)

    return run_virtually(main())


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "call.spool"


def test_a_good_call_ends_with_the_callers_hang_up(spool: Path) -> None:
    """Every step is recorded, every frame is sent on time and spooled."""

    async def main() -> tuple[Stage, Ending, list[Step]]:
        stage = Stage(GOOD, spool, Limits(), "s3cret-value")
        ending = await stage.hold()
        return stage, ending, [step.name for step in stage.steps.done()]

    stage, ending, names = run_virtually(main())
    assert ending.reason is EndedReason.CALLER_HUNG_UP
    assert names[-2:] == [Step.FIRST_AUDIO, Step.CONVERSATION]
    assert len(read_spool(spool).sent) == len(stage.conversation.lateness_ms)
    assert max(stage.conversation.lateness_ms) < 1.0
    assert stage.conversation.duration_ms > 5000


def test_a_call_reaches_its_time_limit(spool: Path) -> None:
    """`limits.call_s` ends a call whose script is not done."""
    _, ending = held(GOOD, spool, limits=Limits(call_s=3))
    assert ending.reason is EndedReason.CALL_TIME_LIMIT


def test_an_agent_that_stops_sending_is_lost(spool: Path) -> None:
    """An unbroken stream of packets that stops is not silence."""
    agent = LoopbackAgent(greeting=GREETING, replies=(REPLY,), freezes_at_ms=4500)
    stage, ending = held(agent, spool, limits=Limits(media_gap_s=3))
    assert ending.reason is EndedReason.AGENT_MEDIA_LOST
    assert 7400 < stage.conversation.duration_ms < 7700


def test_an_agent_that_sends_nothing_while_silent_is_not_lost(spool: Path) -> None:
    """Its packets stop with each utterance, and none of these pauses is a loss of media."""
    agent = LoopbackAgent(
        greeting=GREETING, replies=(REPLY,), sends_silence=False, reply_after_ms=4000
    )
    _, ending = held(agent, spool, limits=Limits(media_gap_s=3))
    assert ending.reason is EndedReason.CALLER_HUNG_UP


def test_being_told_to_hang_up_ends_the_talk(spool: Path) -> None:
    """A lost lease or a cancelled run ends the call within a frame; the first reason stands."""

    def tell(stage: Stage) -> None:
        stage.conversation.hang_up(EndedReason.LEASE_LOST, "gone")
        stage.conversation.hang_up(EndedReason.CANCELLED, "later")

    stage, ending = held(GOOD, spool, meanwhile=tell)
    assert ending == Ending(EndedReason.LEASE_LOST, "gone")
    assert stage.conversation.duration_ms < 2100


def test_being_told_to_hang_up_ends_the_connecting(spool: Path) -> None:
    """A call that hangs in signalling gives way at once."""

    async def main() -> Ending:
        slow = LoopbackAgent(greeting=GREETING, ice_ms=60_000)
        stage = Stage(slow, spool, Limits(), "s3cret-value")
        before_s = asyncio.get_running_loop().time()
        ending = await stage.hold(
            lambda there: there.conversation.hang_up(EndedReason.DRAINED, "stop")
        )
        assert asyncio.get_running_loop().time() - before_s < 2.5
        return ending

    assert run_virtually(main()).reason is EndedReason.DRAINED


def test_a_refused_connection_names_its_step(spool: Path) -> None:
    """What the transport says of its failure reaches the call unchanged."""

    async def main() -> None:
        refusal = Refusal(Step.SIGNALLING, EndedReason.OFFER_REFUSED)
        stage = Stage(LoopbackAgent(refusal=refusal), spool, Limits(), "s3cret-value")
        try:
            with pytest.raises(CallFailure) as failed:
                await stage.conversation.connect()
        finally:
            stage.writer.close()
        assert failed.value.step is Step.SIGNALLING

    run_virtually(main())


def test_a_defect_ends_its_own_call_only(spool: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever breaks inside a frame is this call's internal error; the pulse goes on."""

    def break_it(stage: Stage) -> None:
        stage.caller.frame = lambda *_: 1 / 0  # type: ignore[method-assign,assignment]

    _, ending = held(GOOD, spool, meanwhile=break_it)
    assert ending.reason is EndedReason.INTERNAL_ERROR


def test_a_defect_met_by_a_report_ends_its_own_call_only(spool: Path) -> None:
    """The data channel that brought the report never sees what it broke."""

    def break_it(stage: Stage) -> None:
        stage.caller.reported = lambda _: 1 / 0  # type: ignore[method-assign,assignment]
        stage.conversation.reported(Reported(at_ms=0, kind="said", text="hello"))

    _, ending = held(GOOD, spool, meanwhile=break_it)
    assert ending.reason is EndedReason.INTERNAL_ERROR


def test_evidence_is_bounded_and_redacted(spool: Path) -> None:
    """An agent that reports without end, or our own secret, fills nobody's results."""

    def flood(stage: Stage) -> None:
        for _ in range(REPORTS_KEPT + 50):
            stage.conversation.reported(
                Reported(at_ms=0, kind="said", text="you sent s3cret-value" + "x" * 10_000)
            )

    stage, _ = held(GOOD, spool, meanwhile=flood)
    evidence = stage.conversation.evidence()
    assert len(evidence.reported) == REPORTS_KEPT
    assert evidence.dropped == 50
    assert all("s3cret" not in report.text for report in evidence.reported)
    assert max(len(report.text) for report in evidence.reported) <= 4000
    assert evidence.reported[0].at_ms > 1900


def test_an_agent_that_leaves_early_is_told_from_one_that_waits(spool: Path) -> None:
    """Hanging up before the caller's words are out is the agent's failure."""
    _, ending = held(LoopbackAgent(greeting=GREETING, leaves_at_ms=1000), spool)
    assert ending.reason is EndedReason.AGENT_HUNG_UP_EARLY
    _, ending = held(
        LoopbackAgent(greeting=GREETING, replies=(REPLY,), leaves_after_replies=1), spool
    )
    assert ending.reason in {EndedReason.AGENT_HUNG_UP, EndedReason.CALLER_HUNG_UP}


def test_loss_and_jitter_do_not_break_a_call(spool: Path) -> None:
    """A bad network costs packets, not the conversation."""

    async def main() -> Ending:
        stage = Stage(GOOD, spool, Limits(), "s3cret-value")
        stage.transport = LoopbackTransport(GOOD, down=Wire(loss=0.05, jitter_ms=30, delay_ms=20))
        stage.conversation._transport = stage.transport
        ending = await stage.hold()
        assert stage.transport.statistics().packets_lost > 0
        return ending

    assert run_virtually(main()).reason is EndedReason.CALLER_HUNG_UP
