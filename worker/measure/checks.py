"""Judges one call: its checks, and the verdict they lead to. A check without evidence is an error.

Refuses to measure: everything it looks at stands in the draft of the call's result.
"""

from __future__ import annotations

from shared.call import Owner, Validity, Verdict
from shared.result import CallResult, CheckResult, Distribution, Evidence, Measures
from shared.scenario import AgentNeverSays, AgentSays, Check, EndedBy, MeasureCheck, Scenario
from shared.statistics import PER_CALL_MEASURES, PER_TURN_MEASURES, statistic, too_few

PASS, FAIL, ERROR = "pass", "fail", "error"


def judge_call(
    scenario: Scenario, draft: CallResult, script_checks: list[CheckResult]
) -> tuple[list[CheckResult], Verdict]:
    """Every check of the script and the scenario, in their order, and the call's verdict.

    `draft` needs its measures, evidence, ended reason, failure owner and validity; its own `checks`
    and `verdict` are not looked at.
    """
    checks = [*script_checks, *(judge_check(check, draft) for check in scenario.checks)]
    return checks, call_verdict(draft, checks)


def call_verdict(draft: CallResult, checks: list[CheckResult]) -> Verdict:
    """Pass or fail where the agent can be judged, else none.

    A call that is void, or ended for a reason of fleet or plan, says nothing about the agent.
    """
    if draft.validity is Validity.VOID or draft.failure_owner in {Owner.FLEET, Owner.CONFIG}:
        return Verdict.NONE
    outcomes = {check.outcome for check in checks}
    if draft.failure_owner is Owner.AGENT or FAIL in outcomes:
        return Verdict.FAIL
    return Verdict.NONE if ERROR in outcomes else Verdict.PASS


def judge_check(check: Check, draft: CallResult) -> CheckResult:
    """One check of a scenario on one call."""
    match check:
        case AgentSays():
            return _agent_says(check, draft.evidence)
        case AgentNeverSays():
            return _agent_never_says(check, draft.evidence)
        case EndedBy():
            return _ended_by(check, draft)
        case MeasureCheck():
            return _measure(check, draft.measures)


def _agent_says(check: AgentSays, evidence: Evidence) -> CheckResult:
    name = f"agent_says {_wanted(check)}"
    text = _agent_text(evidence)
    if text is None:
        return _no_text(name)
    absent = [phrase for phrase in check.all if not _holds(text, phrase)]
    if check.any and not any(_holds(text, phrase) for phrase in check.any):
        absent += check.any
    if not absent:
        return CheckResult(name=name, outcome=PASS, detail="the agent said it")
    if evidence.dropped:
        return _cut_short(name, evidence)
    return CheckResult(name=name, outcome=FAIL, detail=f"the agent never said {_quoted(absent)}")


def _agent_never_says(check: AgentNeverSays, evidence: Evidence) -> CheckResult:
    name = f"agent_never_says {_quoted(check.any)}"
    text = _agent_text(evidence)
    if text is None:
        return _no_text(name)
    said = [phrase for phrase in check.any if _holds(text, phrase)]
    if said:
        return CheckResult(name=name, outcome=FAIL, detail=f"the agent said {_quoted(said)}")
    if evidence.dropped:
        return _cut_short(name, evidence)
    return CheckResult(name=name, outcome=PASS, detail="the agent said none of it")


def _ended_by(check: EndedBy, draft: CallResult) -> CheckResult:
    return CheckResult(
        name=f"ended {' or '.join(check.reasons)}",
        outcome=PASS if str(draft.ended_reason) in check.reasons else FAIL,
        detail=f"the call ended with {draft.ended_reason}",
    )


def _measure(check: MeasureCheck, measures: Measures) -> CheckResult:
    name = " ".join((check.measure, *([check.stat] if check.stat else []), *_bounds(check)))
    results = [
        _bounded(name, check, stat, measures)
        for stat in ([check.stat] if check.stat else _default_stats(check))
    ]
    return min(results, key=lambda result: (FAIL, ERROR, PASS).index(result.outcome))


def _default_stats(check: MeasureCheck) -> list[str]:
    """The worst turn decides: the largest for an upper bound, the smallest for a lower one."""
    stats = [stat for stat in ("max", "min") if getattr(check, stat) is not None]
    return stats or ["max"]


def _bounded(name: str, check: MeasureCheck, stat: str, measures: Measures) -> CheckResult:
    value, missing = _value(check.measure, stat, measures)
    if value is None:
        return CheckResult(name=name, outcome=ERROR, detail=missing)
    least = None if check.stat is None and stat == "max" and _per_turn(check) else check.min
    most = None if check.stat is None and stat == "min" and _per_turn(check) else check.max
    shown = f"{stat} of {check.measure}" if _per_turn(check) else check.measure
    detail = f"{shown} is {value:g}"
    outcome = PASS
    if most is not None and value > most:
        outcome, detail = FAIL, f"{detail}, more than {most:g}"
    elif least is not None and value < least:
        outcome, detail = FAIL, f"{detail}, less than {least:g}"
    return CheckResult(name=name, outcome=outcome, detail=detail, value=value)


def _value(measure: str, stat: str, measures: Measures) -> tuple[float | None, str]:
    """The value to judge, or None and the sentence that says why there is none."""
    if measure in PER_TURN_MEASURES:
        values: Distribution = getattr(measures, measure)
        found = statistic(values, stat)
        return found, "" if found is not None else too_few(measure, stat, values.n)
    if measure not in PER_CALL_MEASURES:
        return None, f"there is no measure called {measure}"
    value: float | None = getattr(measures, measure)
    if value is None:
        return None, f"{measure} was not measured: the call had nothing to measure it on"
    return float(value), ""


def _per_turn(check: MeasureCheck) -> bool:
    return check.measure in PER_TURN_MEASURES


def _bounds(check: MeasureCheck) -> list[str]:
    bounds = [] if check.min is None else [f">= {check.min:g}"]
    return bounds if check.max is None else [*bounds, f"<= {check.max:g}"]


def _agent_text(evidence: Evidence) -> str | None:
    """All that the agent reported to have said, in one line: pieces may be of any size."""
    said = evidence.said()
    return _plain(" ".join(report.text for report in said)) if said else None


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _holds(text: str, phrase: str) -> bool:
    return _plain(phrase) in text


def _no_text(name: str) -> CheckResult:
    return CheckResult(
        name=name,
        outcome=ERROR,
        detail="the agent reported no text of its own, so what it said cannot be checked",
    )


def _cut_short(name: str, evidence: Evidence) -> CheckResult:
    return CheckResult(
        name=name,
        outcome=ERROR,
        detail=f"{evidence.dropped} reports of the agent were not kept: nothing is ruled out",
    )


def _wanted(check: AgentSays) -> str:
    parts = [f"any of {_quoted(check.any)}"] if check.any else []
    return " and ".join([*parts, f"all of {_quoted(check.all)}"] if check.all else parts)


def _quoted(phrases: list[str]) -> str:
    return ", ".join(f'"{phrase}"' for phrase in phrases)
