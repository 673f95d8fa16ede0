"""The live part of a call: from connected media to hang-up. Owns the line and the watchdogs.

Everything here runs in the event loop's thread, frame by frame: the ticker asks for the next packet
every 20 ms, the transport hands over what arrives. Nothing is encoded, resampled or written to disk
beyond an append to the spool.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from types import TracebackType

import msgspec
import structlog

from shared import metrics
from shared.call import EndedReason, Step
from shared.plan import Limits
from shared.redaction import Redactor
from shared.result import Evidence, Reported
from worker.allowance import Allowance
from worker.caller.caller import Caller
from worker.media.clip import PACKET_MS
from worker.media.clock import now_ns
from worker.media.speaker import Sending
from worker.media.spool import SpoolWriter
from worker.media.ticker import Ticker
from worker.steps import Steps
from worker.transports.transport import ReceivedPacket, Transport

REPORTS_KEPT = 2000
REPORT_CHARS = 4000
PACKETS_PER_S, PACKETS_BURST = 200, 2000
"""Four times real time, and forty seconds at once: bots burst after pauses, floods go on."""
GAP_NS = 100_000_000
STREAM_NS = 1_000_000_000
"""Silence sent for this long without a gap shows an agent that streams silence too. Others send
nothing between utterances (Pipecat without auto-silence, DTX), so for them a gap is no loss."""

log = structlog.get_logger()


class Ending(msgspec.Struct, frozen=True):
    """Why the conversation ended."""

    reason: EndedReason
    detail: str = ""


class _Boundary:
    """Whoever calls in here serves other calls too: a defect ends this one alone.

    A class and no generator: it is passed twice for every 20 ms of every call.
    """

    def __init__(self, broken: Callable[[], None]) -> None:
        self._broken = broken

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: object, error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        log.error("conversation_broke", exc_info=error)
        self._broken()
        return True


class Conversation:
    """One caller on one line; implements `worker.transports.transport.Line`.

    `lateness_ms` holds one value per frame sent: how long after its slot it left.
    """

    def __init__(
        self,
        caller: Caller,
        transport: Transport,
        spool: SpoolWriter,
        limits: Limits,
        steps: Steps,
        redactor: Redactor,
    ) -> None:
        self._caller = caller
        self._transport = transport
        self._spool = spool
        self._limits = limits
        self._steps = steps
        self._redactor = redactor
        self._boundary = _Boundary(self._broken)
        self._ended = asyncio.Event()
        self._connecting: asyncio.Timeout | None = None
        self._ending: Ending | None = None
        self._reports: list[Reported] = []
        self._reports_dropped = 0
        self._packets = Allowance(PACKETS_PER_S, PACKETS_BURST)
        self._last_packet_ns = 0
        self._silent_since_ns = 0
        self._streams_silence = False
        self.lateness_ms = array("f")
        self._next_frame = 0
        self.frames_planned = 0
        self.loop_lag_max_ms = 0.0
        self.speech_planned = 0
        """Packets of utterances that were begun, those that a stall swallowed included."""
        self.speech_sent = 0
        self._frame_ns = 0
        self._in_speech = False
        self.connected_ns: int | None = None
        self.ended_ns: int | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the caller is done, or has been told to be."""
        return self._ending is not None

    @property
    def duration_ms(self) -> float:
        """From media connected to hang-up; 0 where it never connected."""
        if self.connected_ns is None or self.ended_ns is None:
            return 0.0
        return (self.ended_ns - self.connected_ns) / 1e6

    async def connect(self) -> None:
        """Reach the agent; raises `CallFailure` naming the step that failed.

        Told to hang up meanwhile, it returns at once and `hold` says why.
        """
        try:
            async with asyncio.timeout(None) as connecting:
                self._connecting = connecting
                if self._ending is None:
                    await self._transport.connect(self)
        except TimeoutError:
            if self._ending is None:  # not by hang_up, so it is the transport's own defect
                raise
        finally:
            self._connecting = None

    async def hold(self, ticker: Ticker) -> Ending:
        """Talk until somebody hangs up; returns why. `connect` must have succeeded."""
        if self._ending is not None:
            return self._ending
        self._steps.begin(Step.FIRST_AUDIO)
        self.connected_ns = now_ns()
        self._caller.connected(self.connected_ns)
        seat = ticker.join(self._frame)
        try:
            await self._ended.wait()
        finally:
            seat.leave()
            self.ended_ns = now_ns()
            if self._packets.refused:
                log.warning("agent_floods", packets_refused=self._packets.refused)
            self.frames_planned += seat.skipped
        assert self._ending is not None
        return self._ending

    def hang_up(self, reason: EndedReason, detail: str = "") -> None:
        """End soon, for this reason; the first reason given stands."""
        if self._ending is None:
            self._ending = Ending(reason, self._redactor.redact(detail))
            self._ended.set()
            if self._connecting is not None:
                self._connecting.reschedule(asyncio.get_running_loop().time())

    def evidence(self) -> Evidence:
        """What the agent reported of itself, redacted."""
        return Evidence(
            source="rtvi" if self._reports else None,
            reported=self._reports,
            dropped=self._reports_dropped,
        )

    # What the transport says: worker.transports.transport.Line.

    def step(self, step: Step) -> None:
        """A step of connecting begins."""
        self._steps.begin(step)

    def heard(self, packet: ReceivedPacket) -> None:
        """An audio packet of the agent arrived."""
        self._notice_stream(packet.arrived_ns)
        if self.has_ended or not self._packets.take(packet.arrived_ns):
            return
        with self._boundary:
            self._spool.received(packet)
            if self.connected_ns is not None:
                self._caller.heard(packet)

    def reported(self, report: Reported) -> None:
        """The agent reported something; bounded, redacted and stamped here."""
        if len(self._reports) >= REPORTS_KEPT:
            self._reports_dropped += 1
            return
        text = report.text[:REPORT_CHARS]
        text = self._redactor.redact(text, cut=len(text) == REPORT_CHARS)
        stamped = Reported(at_ms=self._at_ms(), kind=report.kind, text=text)
        self._reports.append(stamped)
        if self.connected_ns is not None and not self.has_ended:
            with self._boundary:
                self._caller.reported(stamped)

    def agent_left(self, detail: str) -> None:
        """The agent ended the call."""
        if self.connected_ns is None:
            self.hang_up(EndedReason.AGENT_HUNG_UP_EARLY, detail or "before media was connected")
            return
        with self._boundary:
            self._caller.agent_left(detail)
            self._look_for_end()

    # What the ticker asks for, every 20 ms.

    def _frame(self, frame_index: int, due_ns: int) -> None:
        if self.has_ended:
            return
        with self._boundary:
            now = now_ns()
            skipped = frame_index - self._next_frame
            sending = self._caller.frame(now, skipped)
            self._next_frame = frame_index + 1
            self._transport.send(sending.payload, sending.level)
            self._spool.sent(frame_index, due_ns, now, sending.payload, sending.level)
            self._count(now, due_ns)
            self._count_speech(sending, skipped)
            self._watch(now)
            self._look_for_end()

    def _count(self, now: int, due_ns: int) -> None:
        self.frames_planned += 1
        self.lateness_ms.append((now - due_ns) / 1e6)
        metrics.packet_sent_late((now - due_ns) / 1e9)
        if self._frame_ns:
            lag_ms = (now - self._frame_ns) / 1e6 - PACKET_MS
            self.loop_lag_max_ms = max(self.loop_lag_max_ms, lag_ms)
        self._frame_ns = now

    def _count_speech(self, sending: Sending, skipped: int) -> None:
        """A stall within an utterance swallowed that many packets of it."""
        speaks = sending.clip_hash is not None
        self.speech_planned += speaks + (skipped if self._in_speech else 0)
        self.speech_sent += speaks
        self._in_speech = speaks and not sending.ended

    def _watch(self, now: int) -> None:
        assert self.connected_ns is not None
        if self._steps.current is Step.FIRST_AUDIO and self._caller.has_heard_agent:
            self._steps.begin(Step.CONVERSATION)
        if now - self.connected_ns > self._limits.call_s * 1e9:
            self.hang_up(EndedReason.CALL_TIME_LIMIT, f"after {self._limits.call_s:g} s")
        gap_ns = now - self._last_packet_ns
        if self._streams_silence and gap_ns > self._limits.media_gap_s * 1e9:
            self.hang_up(
                EndedReason.AGENT_MEDIA_LOST,
                f"no audio packet for {self._limits.media_gap_s:g} s, after an unbroken stream",
            )

    def _notice_stream(self, arrived_ns: int) -> None:
        gap_ns = arrived_ns - self._last_packet_ns
        self._last_packet_ns = arrived_ns
        if gap_ns > GAP_NS or self._caller.agent_is_audible:
            self._silent_since_ns = arrived_ns
        elif arrived_ns - self._silent_since_ns > STREAM_NS:
            self._streams_silence = True

    def _look_for_end(self) -> None:
        hung_up = self._caller.ended
        if hung_up is not None:
            self.hang_up(hung_up.ended_reason, hung_up.detail)

    def _broken(self) -> None:
        self.hang_up(EndedReason.INTERNAL_ERROR, "the conversation met a defect of phonebank")

    def _at_ms(self) -> float:
        if self.connected_ns is None:
            return 0.0
        return (now_ns() - self.connected_ns) / 1e6
