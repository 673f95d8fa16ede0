"""Plans and calls to be judged, as short as a test can say them."""

from __future__ import annotations

from typing import Any

from shared.agent import Agent, SmallWebRTC
from shared.call import REASONS, CallStage, EndedReason, Owner, Validity, Verdict
from shared.persona import Persona
from shared.plan import RunPlan, Threshold
from shared.result import CallResult, Evidence, Measures, Reported
from shared.scenario import HangUp, Scenario


def plan(*thresholds: Threshold, calls: int = 10, min_valid: float = 90.0) -> RunPlan:
    """One agent, one scenario, one persona, `calls` repetitions."""
    return RunPlan(
        version=1,
        name="booking",
        agents=[Agent(name="a", smallwebrtc=SmallWebRTC(offer_url="http://127.0.0.1/offer"))],
        scenarios=[Scenario(name="s", script=[HangUp()])],
        personas=[Persona(name="p")],
        repeat=calls,
        thresholds=list(thresholds),
        min_valid=min_valid,
        labels={"branch": "main"},
    )


def row(
    verdict: Verdict = Verdict.PASS,
    *,
    reason: EndedReason = EndedReason.CALLER_HUNG_UP,
    validity: Validity | None = None,
    measures: Measures | None = None,
    **fields: Any,
) -> CallResult:
    """One call; its owner and validity follow from the reason unless given."""
    owner = REASONS[reason].owner
    void = owner in {Owner.FLEET, Owner.CONFIG}
    given: dict[str, Any] = {
        "run": "r1",
        "index": 0,
        "attempt": 1,
        "seed": 7,
        "agent": "a",
        "scenario": "s",
        "persona": "p",
        "repetition": 0,
        "stage": CallStage.DONE,
        "ended_reason": reason,
        "failure_owner": owner,
        "validity": validity or (Validity.VOID if void else Validity.VALID),
        "verdict": Verdict.NONE if void else verdict,
        "measures": measures or Measures(),
    }
    return CallResult(**{**given, **fields})


def agent_said(*texts: str, dropped: int = 0) -> Evidence:
    """What an agent that reports its own words reported."""
    reported = [Reported(at_ms=100.0 * k, kind="said", text=text) for k, text in enumerate(texts)]
    return Evidence(source="rtvi", reported=reported, dropped=dropped)
