"""One call, judged by its checks."""

from __future__ import annotations

import msgspec
import pytest

from shared.call import EndedReason, Validity, Verdict
from shared.result import CallResult, CheckResult, Measures
from shared.scenario import (
    AgentNeverSays,
    AgentSays,
    Check,
    EndedBy,
    HangUp,
    MeasureCheck,
    Scenario,
)
from shared.statistics import distribution
from tests.unit.verdict.rows import agent_said, row
from worker.measure.checks import judge_call, judge_check


def judged(draft: CallResult, *checks: Check, script: list[CheckResult] | None = None) -> Verdict:
    scenario = Scenario(name="s", script=[HangUp()], checks=list(checks))
    return judge_call(scenario, draft, script or [])[1]


SPOKE = row(evidence=agent_said("Your table", "is Confirmed.  See you!"))


@pytest.mark.parametrize(
    ("check", "outcome"),
    [
        (AgentSays(any=["nothing", "TABLE IS confirmed"]), "pass"),
        (AgentSays(any=["nothing"]), "fail"),
        (AgentSays(all=["table", "see you"]), "pass"),
        (AgentSays(any=["table"], all=["see you", "goodbye"]), "fail"),
        (AgentNeverSays(any=["goodbye"]), "pass"),
        (AgentNeverSays(any=["goodbye", "see you"]), "fail"),
    ],
)
def test_the_agents_words_are_compared_without_case(check: Check, outcome: str) -> None:
    """Over all it said, however it cut its reports."""
    assert judge_check(check, SPOKE).outcome == outcome


@pytest.mark.parametrize("check", [AgentSays(any=["x"]), AgentNeverSays(any=["x"])])
def test_an_agent_that_reports_nothing_gives_an_error(check: Check) -> None:
    """Silence is no evidence, neither for nor against."""
    found = judge_check(check, row())
    assert found.outcome == "error"
    assert "reported no text" in found.detail


def test_what_was_not_kept_rules_nothing_out() -> None:
    """With reports dropped, absence is unknown; presence is still known."""
    cut = row(evidence=agent_said("hello", dropped=3))
    assert judge_check(AgentNeverSays(any=["x"]), cut).outcome == "error"
    assert judge_check(AgentSays(any=["x"]), cut).outcome == "error"
    assert judge_check(AgentSays(any=["hello"]), cut).outcome == "pass"
    assert judge_check(AgentNeverSays(any=["hello"]), cut).outcome == "fail"


def test_how_a_call_ended_can_be_checked() -> None:
    """By the names of ended reasons."""
    assert judge_check(EndedBy(reasons=["caller_hung_up"]), row()).outcome == "pass"
    assert judge_check(EndedBy(reasons=["agent_hung_up"]), row()).outcome == "fail"


LATENCIES = Measures(response_latency_ms=distribution([700, 900, 2500]), no_response=0)


@pytest.mark.parametrize(
    ("check", "outcome", "value"),
    [
        (MeasureCheck(measure="no_response", max=0), "pass", 0),
        (MeasureCheck(measure="response_latency_ms", max=2000), "fail", 2500),
        (MeasureCheck(measure="response_latency_ms", stat="p50", max=2000), "pass", 900),
        (MeasureCheck(measure="response_latency_ms", min=800), "fail", 700),
        (MeasureCheck(measure="response_latency_ms", min=0, max=3000), "pass", 2500),
        (MeasureCheck(measure="response_latency_ms", min=800, max=3000), "fail", 700),
        (MeasureCheck(measure="response_latency_ms", stat="count", min=3), "pass", 3),
        (MeasureCheck(measure="response_latency_ms", stat="p95", max=9000), "error", None),
        (MeasureCheck(measure="time_to_first_word_ms", max=3000), "error", None),
        (MeasureCheck(measure="barge_in_stop_ms", max=500), "error", None),
    ],
)
def test_a_measure_is_judged_by_its_worst_turn(
    check: MeasureCheck, outcome: str, value: float | None
) -> None:
    """Unless the check names a statistic; what was not measured is an error that says why."""
    found = judge_check(check, row(measures=LATENCIES))
    assert (found.outcome, found.value) == (outcome, value)
    assert found.detail


def test_a_failed_check_fails_the_call_even_beside_an_error() -> None:
    """One finding about the agent is enough."""
    failing, unknown = AgentSays(any=["goodbye"]), MeasureCheck(measure="talk_ratio", max=1)
    assert judged(SPOKE, AgentSays(any=["table"])) is Verdict.PASS
    assert judged(SPOKE, unknown) is Verdict.NONE
    assert judged(SPOKE, unknown, failing) is Verdict.FAIL


def test_the_scripts_own_checks_come_first_and_count() -> None:
    """Such as words that a wait had to hear."""
    heard = CheckResult(name="wait_for_agent", outcome="fail", detail="no seven")
    scenario = Scenario(name="s", script=[HangUp()], checks=[AgentSays(any=["table"])])
    checks, verdict = judge_call(scenario, SPOKE, [heard])
    assert checks[0] is heard
    assert len(checks) == 2
    assert verdict is Verdict.FAIL


def test_a_call_that_the_agent_failed_fails_without_checks() -> None:
    """A call without checks passes when it ends well."""
    assert judged(row(reason=EndedReason.AGENT_NEVER_SPOKE)) is Verdict.FAIL
    assert judged(row()) is Verdict.PASS


@pytest.mark.parametrize("reason", [EndedReason.WORKER_LOST, EndedReason.SECRET_MISSING])
def test_what_fleet_or_plan_spoiled_has_no_verdict(reason: EndedReason) -> None:
    """Whatever the checks say."""
    failed = CheckResult(name="x", outcome="fail")
    assert judged(row(reason=reason), script=[failed]) is Verdict.NONE


def test_a_void_call_is_never_a_finding_about_the_agent() -> None:
    """Not even where the agent failed it."""
    draft = msgspec.structs.replace(
        row(reason=EndedReason.AGENT_NEVER_SPOKE), validity=Validity.VOID
    )
    assert judged(draft) is Verdict.NONE
