"""A call that the fleet owes: the row that stands where no worker could leave one."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.call import REASONS, CallStage, EndedReason, Validity, Verdict
from shared.expansion import call_of_index
from shared.plan import RunPlan
from shared.result import CallResult
from shared.state.calls import CallKey


def void_call(
    plan: RunPlan,
    key: CallKey,
    reason: EndedReason,
    *,
    why_void: str,
    earlier_attempts: list[str] | None = None,
) -> CallResult:
    """The result of a call of which nothing is known but that it was lost for `reason`."""
    spec = call_of_index(plan, key.index)
    agent, scenario = plan.agents[spec.lane], plan.scenarios[spec.scenario]
    return CallResult(
        run=key.run,
        index=key.index,
        attempt=key.attempt,
        seed=spec.seed,
        agent=agent.name,
        agent_id=agent.id,
        scenario=scenario.name,
        scenario_id=scenario.id,
        persona=plan.personas[spec.persona].name,
        repetition=spec.repetition,
        stage=CallStage.CONNECTING,
        ended_reason=reason,
        failure_owner=REASONS[reason].owner,
        failed_step=steps[0] if len(steps := REASONS[reason].steps) == 1 else None,
        validity=Validity.VOID,
        verdict=Verdict.NONE,
        detail=REASONS[reason].sentence,
        void_reasons=[f"{reason}: {why_void}"],
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        earlier_attempts=earlier_attempts or [],
    )
