"""One call, from connect to a finished result. Owns the order of its steps and what failures mean.

    secrets → clips → connect → talk → hang up → recording and measures → checks → result

A call never raises: whatever happens ends in a result that names the step, the reason and the
owner.
"""

from __future__ import annotations

import asyncio
import contextlib
from array import array
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog

from shared.agent import Agent
from shared.call import REASONS, CallSpec, EndedReason, Step
from shared.errors import CallFailure, StudioError
from shared.http import Http
from shared.plan import RunPlan
from shared.redaction import Redactor
from shared.result import Evidence, HostPressure
from shared.secrets import names_in, resolve_endpoint, secret_values
from shared.state.calls import CallKey
from worker.caller.caller import Caller
from worker.caller.script import Speech, compile_script
from worker.commit import Finished
from worker.conversation import Conversation, Ending
from worker.host import Host
from worker.media.clips import Clips
from worker.media.listener import Listener
from worker.media.spool import SpoolWriter
from worker.media.ticker import Ticker
from worker.outcome import Account, finished_result
from worker.steps import Steps
from worker.studio_jobs import FinishCall
from worker.studio_jobs import Finished as Studied
from worker.studio_port import Studio, StudioDiskError
from worker.transports.opening import open_transport
from worker.transports.transport import TransportStatistics

SPOOL = "packets.spool"

log = structlog.get_logger()


class Equipment(msgspec.Struct, frozen=True):
    """What all calls of one process share."""

    ticker: Ticker
    clips: Clips
    studio: Studio
    http: Http
    environ: Mapping[str, str]
    """Where secrets are looked up."""
    folder: Path
    """Spool files and recordings of calls under way."""
    worker: str
    host: Host | None = None
    """None: nobody samples the host."""
    listener: type[Listener] = Listener
    """How callers hear."""


class Call:
    """One attempt at one call."""

    def __init__(self, plan: RunPlan, spec: CallSpec, key: CallKey, equipment: Equipment) -> None:
        self._plan = plan
        self._spec = spec
        self._key = key
        self._equipment = equipment
        self._scenario = plan.scenarios[spec.scenario]
        self._persona = plan.personas[spec.persona]
        self.folder = equipment.folder / str(key)
        """Everything on local disk that belongs to the attempt."""
        self._steps = Steps()
        self._started_at = datetime.now(UTC)
        self._conversation: Conversation | None = None
        self._told: Ending | None = None
        self._statistics = TransportStatistics()
        self._join_keys: dict[str, str] = {}
        self._redactor = Redactor({})
        self._caller: Caller | None = None
        self._connected_at: datetime | None = None
        self._lines = 0
        self._host: HostPressure | None = None

    def hang_up(self, reason: EndedReason, detail: str) -> None:
        """End soon, for this reason; the first reason given stands."""
        if self._told is None:
            self._told = Ending(reason, detail)
        if self._conversation is not None:
            self._conversation.hang_up(reason, detail)

    async def run(self, earlier_attempts: list[str]) -> Finished:
        """Hold the call and account for it; never raises but when it is cancelled."""
        ending, failed_step = await self._ended(self.folder / SPOOL)
        studied = None
        if self._was_held and ending.reason is not EndedReason.RECORDING_FAILED:
            self._steps.begin(Step.RECORDING)
            try:
                studied = await self._study()
            except StudioError as error:
                ending, failed_step = self._without_study(error), Step.RECORDING
        result = finished_result(self._account(ending, failed_step, studied, earlier_attempts))
        return Finished(
            result=result,
            recording=self.folder / studied.recording.key if studied else None,
        )

    @property
    def _was_held(self) -> bool:
        return self._conversation is not None and self._conversation.connected_ns is not None

    def _without_study(self, error: StudioError) -> Ending:
        detail = self._redactor.redact(str(error))
        self._steps.fail(Step.RECORDING, detail)
        refused = isinstance(error, StudioDiskError)
        return Ending(
            EndedReason.RECORDING_FAILED if refused else EndedReason.STUDIO_FAILED, detail
        )

    async def _ended(self, spool: Path) -> tuple[Ending, Step | None]:
        """Hold the conversation; why it ended, and the step that failed where one did."""
        try:
            ending = await self._talk(spool)
        except CallFailure as failure:
            detail = self._redactor.redact(failure.detail, cut=True)
            self._steps.fail(failure.step, detail)
            return Ending(failure.ended_reason, detail), failure.step
        except Exception:  # the call boundary: a defect is this call's result, never a lost call
            step = self._steps.current or Step.CONFIG
            log.exception("call_broke", step=step.value)
            self._steps.fail(step, "a defect of phonebank")
            return Ending(EndedReason.INTERNAL_ERROR, "the worker's log has the trace"), step
        if REASONS[ending.reason].owner is None:
            return ending, None
        step = self._steps.current or Step.CONVERSATION
        self._steps.fail(step, ending.detail)
        return ending, step

    async def _talk(self, spool: Path) -> Ending:
        limits = self._plan.limits
        self._steps.begin(Step.CREDENTIALS)
        agent = self._agent_with_secrets()
        self._steps.begin(Step.CLIPS)
        caller = await self._prepare()
        transport = open_transport(
            agent,
            connect_s=limits.connect_s,
            tell_agent=self._told_to_agent(),
            http=self._equipment.http,
        )
        with contextlib.closing(await asyncio.to_thread(_open_spool, spool)) as writer:
            conversation = Conversation(
                caller, transport, writer, limits, self._steps, self._redactor
            )
            self._conversation = conversation
            if self._told is not None:
                conversation.hang_up(self._told.reason, self._told.detail)
            try:
                await conversation.connect()
                if not conversation.has_ended:  # told to hang up, it returns without a connection
                    self._connected_at = datetime.now(UTC)
                return await conversation.hold(self._equipment.ticker)
            finally:
                self._host = self._host_pressure(conversation)
                await transport.close()
                self._statistics = transport.statistics()
                # The agent chose them: it may have put anything there.
                self._join_keys = {
                    name: self._redactor.redact(key, cut=True)
                    for name, key in transport.join_keys().items()
                }

    def _host_pressure(self, conversation: Conversation) -> HostPressure | None:
        host, began_ns = self._equipment.host, conversation.connected_ns
        return None if host is None or began_ns is None else host.pressure_since(began_ns)

    def _agent_with_secrets(self) -> Agent:
        agent = self._plan.agents[self._spec.lane]
        endpoint, environ = agent.smallwebrtc, self._equipment.environ
        self._redactor = Redactor(secret_values(names_in(endpoint), environ))
        return msgspec.structs.replace(agent, smallwebrtc=resolve_endpoint(endpoint, environ))

    def _told_to_agent(self) -> dict[str, str]:
        variables = self._scenario.variables
        return {name: str(variables[name]) for name in self._scenario.tell_agent}

    async def _prepare(self) -> Caller:
        """Compile the script and make, or fetch, every clip that it may need."""
        script = compile_script(self._scenario, self._persona, self._spec.seed)
        clips = {sound.hash: await self._equipment.clips.get(sound) for sound in script.requests()}
        self._lines = len(
            {
                line.step
                for line in script.lines
                if isinstance(line, Speech) and line.verb != "play"  # a file may be silent
            }
        )
        self._caller = Caller(
            script=script,
            clips=clips,
            persona=self._persona,
            limits=self._plan.limits,
            listener=self._equipment.listener(),
        )
        return self._caller

    async def _study(self) -> Studied:
        conversation = self._conversation
        assert self._caller is not None
        assert conversation is not None
        assert conversation.connected_ns is not None
        assert conversation.ended_ns is not None
        return await self._equipment.studio.finish_call(
            FinishCall(
                spool=str(self.folder / SPOOL),
                folder=str(self.folder),
                format=self._plan.recording,
                connected_ns=conversation.connected_ns,
                ended_ns=conversation.ended_ns,
                caller_turns=self._caller.caller_turns(),
            )
        )

    def _account(
        self,
        ending: Ending,
        failed_step: Step | None,
        studied: Studied | None,
        earlier_attempts: list[str],
    ) -> Account:
        conversation, caller = self._conversation, self._caller
        is_said = ending.reason is EndedReason.CALLER_HUNG_UP
        return Account(
            plan=self._plan,
            spec=self._spec,
            key=self._key,
            worker=self._equipment.worker,
            ending=ending,
            failed_step=failed_step,
            steps=self._steps.done(),
            started_at=self._started_at,
            connected_at=self._connected_at,
            duration_ms=conversation.duration_ms if conversation else 0.0,
            studied=studied,
            statistics=self._statistics,
            join_keys=self._join_keys,
            evidence=conversation.evidence() if conversation else Evidence(),
            decisions=caller.decisions() if caller else [],
            script_checks=caller.script_checks() if caller else [],
            caller_turns=caller.caller_turns() if caller else [],
            lateness_ms=conversation.lateness_ms if conversation else array("f"),
            loop_lag_ms=conversation.loop_lag_max_ms if conversation else None,
            host=self._host,
            frames_planned=conversation.frames_planned if conversation else 0,
            speech_planned=conversation.speech_planned if conversation else 0,
            speech_sent=conversation.speech_sent if conversation else 0,
            lines_planned=self._lines if is_said else 0,
            earlier_attempts=earlier_attempts,
        )


def _open_spool(path: Path) -> SpoolWriter:
    """In a thread: disks take their time. Raises `CallFailure` where the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return SpoolWriter(path)
    except OSError as error:
        raise CallFailure(EndedReason.RECORDING_FAILED, Step.RECORDING, str(error)) from error
