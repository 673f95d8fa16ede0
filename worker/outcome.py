"""What an attempt came to: the account of it turned into a `CallResult`. Owns the putting together.

Nothing here waits or measures; the sound has been measured in the studio, the line counted by the
transport, the time kept by the steps.
"""

from __future__ import annotations

from array import array
from datetime import datetime
from importlib.metadata import version

import msgspec

from shared.call import REASONS, CallSpec, CallStage, Step, Validity, Verdict
from shared.plan import RunPlan
from shared.result import (
    CallResult,
    CheckResult,
    Decision,
    Evidence,
    HostPressure,
    Instrument,
    Measures,
    Recording,
    StepRecord,
)
from shared.state.calls import CallKey
from shared.statistics import nearest_rank
from worker.conversation import Ending
from worker.measure import checks, validity
from worker.measure.transcript import with_words
from worker.media.caller_turn import CallerTurn
from worker.studio_jobs import Finished as Studied
from worker.transports.transport import TransportStatistics

VERSIONS = {name: version(name) for name in ("phonebank", "aiortc", "aioice", "av")}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of one attempt when it is over."""

    plan: RunPlan
    spec: CallSpec
    key: CallKey
    worker: str
    ending: Ending
    failed_step: Step | None
    steps: list[StepRecord]
    started_at: datetime
    connected_at: datetime | None
    duration_ms: float
    studied: Studied | None
    """None: there was nothing to study, or the studio failed."""
    statistics: TransportStatistics
    join_keys: dict[str, str]
    evidence: Evidence
    decisions: list[Decision]
    script_checks: list[CheckResult]
    caller_turns: list[CallerTurn]
    lateness_ms: array[float]
    loop_lag_ms: float | None
    host: HostPressure | None
    frames_planned: int
    speech_planned: int
    speech_sent: int
    lines_planned: int
    earlier_attempts: list[str]


def finished_result(account: Account) -> CallResult:
    """The attempt's result, judged."""
    draft = _draft(account)
    is_valid, void_reasons = validity.judge(draft.instrument, draft.ended_reason)
    draft = msgspec.structs.replace(draft, validity=is_valid, void_reasons=void_reasons)
    scenario = account.plan.scenarios[account.spec.scenario]
    judged, verdict = checks.judge_call(scenario, draft, account.script_checks)
    return msgspec.structs.replace(draft, checks=judged, verdict=verdict)


def _draft(account: Account) -> CallResult:
    plan, spec, ending = account.plan, account.spec, account.ending
    agent, scenario = plan.agents[spec.lane], plan.scenarios[spec.scenario]
    studied = account.studied
    return CallResult(
        run=account.key.run,
        index=spec.index,
        attempt=account.key.attempt,
        seed=spec.seed,
        agent=agent.name,
        agent_id=agent.id,
        scenario=scenario.name,
        scenario_id=scenario.id,
        persona=plan.personas[spec.persona].name,
        repetition=spec.repetition,
        stage=_stage(account),
        ended_reason=ending.reason,
        failure_owner=REASONS[ending.reason].owner,
        failed_step=account.failed_step,
        validity=Validity.VALID,
        verdict=Verdict.NONE,
        detail=ending.detail or REASONS[ending.reason].sentence,
        join_keys=account.join_keys,
        started_at=account.started_at.isoformat(),
        connected_at=account.connected_at.isoformat() if account.connected_at else None,
        duration_ms=account.duration_ms,
        steps=account.steps,
        turns=with_words(studied.turns, account.evidence) if studied else [],
        measures=_measures(account),
        recording=_recording(account),
        instrument=_instrument(account),
        evidence=account.evidence,
        decisions=account.decisions,
        earlier_attempts=account.earlier_attempts,
    )


def _stage(account: Account) -> CallStage:
    if account.connected_at is None:
        return CallStage.CONNECTING
    return CallStage.DONE if account.studied is not None else CallStage.ENDING


def _measures(account: Account) -> Measures:
    if account.studied is None:
        return Measures()
    statistics = account.statistics
    expected = statistics.packets_received + statistics.packets_lost
    lost = 100 * statistics.packets_lost / expected if expected else None
    return msgspec.structs.replace(
        account.studied.measures,
        packet_loss_percent=lost,
        jitter_ms=statistics.jitter_ms if expected else None,
    )


def _recording(account: Account) -> Recording | None:
    """The recording under its name relative to the run's folder."""
    if account.studied is None:
        return None
    recording = account.studied.recording
    place = f"calls/{account.key.index}/{account.key.attempt}/{recording.key}"
    return msgspec.structs.replace(recording, key=place)


def _instrument(account: Account) -> Instrument:
    late = sorted(account.lateness_ms)
    studied = account.studied
    return Instrument(
        worker=account.worker,
        send_lateness_p50_ms=nearest_rank(late, 50) if late else None,
        send_lateness_p99_ms=nearest_rank(late, 99) if late else None,
        send_lateness_max_ms=late[-1] if late else None,
        loop_lag_max_ms=account.loop_lag_ms if late else None,
        host=account.host,
        packets_planned=account.frames_planned,
        packets_sent=account.statistics.packets_sent,
        packets_received=account.statistics.packets_received,
        packets_lost=account.statistics.packets_lost,
        speech_packets_planned=account.speech_planned,
        speech_packets_sent=account.speech_sent,
        lines_planned=account.lines_planned,
        lines_said=len({turn.step for turn in account.caller_turns if turn.step >= 0}),
        caller_channel_ms=studied.caller_channel_ms if studied else None,
        agent_channel_ms=studied.agent_channel_ms if studied else None,
        speech_detector=studied.detector if studied else "",
        versions=VERSIONS,
    )
