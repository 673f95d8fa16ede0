"""What a run came to: counts, thresholds and the verdict. Pure; refuses to read Redis or storage.

Rows are fed one by one and only their numbers are kept, 8 bytes per turn and measure.
"""

from __future__ import annotations

from array import array
from collections import Counter

from shared.call import RunState, Validity, Verdict
from shared.plan import MeasureThreshold, PassRate, RunPlan
from shared.result import CallResult, Distribution, RunCounts, RunResult, ThresholdResult
from shared.statistics import (
    PER_CALL_MEASURES,
    PER_TURN_MEASURES,
    distribution,
    statistic,
    too_few,
    values_of,
)

MEASURES = PER_CALL_MEASURES + PER_TURN_MEASURES
EVERY_CALL = PassRate(min=100)
"""Holds where a plan sets no pass rate of its own."""


class Tally:
    """Adds up the calls of one run. `add` each committed call once, then ask for the verdict."""

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._counts: Counter[str] = Counter()
        self._ended_reasons: Counter[str] = Counter()
        self._failure_owners: Counter[str] = Counter()
        self._values = {name: array("d") for name in MEASURES}

    def add(self, row: CallResult) -> None:
        """Count one call; only a valid one gives its measures to the run."""
        self._counts[_counted_as(row)] += 1
        self._counts["retried"] += bool(row.earlier_attempts)
        self._ended_reasons[str(row.ended_reason)] += 1
        if row.failure_owner is not None:
            self._failure_owners[str(row.failure_owner)] += 1
        if row.validity is Validity.VALID:
            for name, values in self._values.items():
                values.extend(values_of(row.measures, name))

    def counts(self) -> RunCounts:
        """Where each planned call ended up, so far."""
        planned = self._plan.call_count
        done = sum(self._counts[name] for name in ("passed", "failed", "unjudged", "void"))
        return RunCounts(planned=planned, missing=max(planned - done, 0), **self._counts)

    def verdict(
        self,
        *,
        run: str,
        state: RunState,
        plan_sha256: str = "",
        submitted_at: str = "",
        finished_at: str = "",
        expansion: int = 1,
    ) -> RunResult:
        """The run's whole result. A cancelled run never has a verdict; times are ISO 8601, UTC."""
        measures = {
            name: distribution(values, keep_values=False)
            for name, values in self._values.items()
            if values
        }
        counts = self.counts()
        thresholds = self._judged_thresholds(counts, measures)
        verdict, why = _concluded(self._plan, state, counts, thresholds)
        return RunResult(
            run=run,
            name=self._plan.name,
            state=state,
            verdict=verdict,
            why=why,
            counts=counts,
            ended_reasons=dict(sorted(self._ended_reasons.items())),
            failure_owners=dict(sorted(self._failure_owners.items())),
            thresholds=thresholds,
            measures=measures,
            labels=self._plan.labels,
            seed=self._plan.seed,
            expansion=expansion,
            plan_sha256=plan_sha256,
            submitted_at=submitted_at,
            finished_at=finished_at,
        )

    def _judged_thresholds(
        self, counts: RunCounts, measures: dict[str, Distribution]
    ) -> list[ThresholdResult]:
        thresholds = list(self._plan.thresholds)
        stated = any(isinstance(threshold, PassRate) for threshold in thresholds)
        results = [] if stated else [_pass_rate(EVERY_CALL, counts, stated=False)]
        for threshold in thresholds:
            match threshold:
                case PassRate():
                    results.append(_pass_rate(threshold, counts, stated=True))
                case MeasureThreshold():
                    found = measures.get(threshold.measure, Distribution())
                    results.append(_measure(threshold, found))
        return results


def _counted_as(row: CallResult) -> str:
    if row.validity is Validity.VOID:
        return "void"
    return {Verdict.PASS: "passed", Verdict.FAIL: "failed", Verdict.NONE: "unjudged"}[row.verdict]


def _pass_rate(threshold: PassRate, counts: RunCounts, *, stated: bool) -> ThresholdResult:
    judged = counts.passed + counts.failed
    bound = f">= {threshold.min:g} %"
    source = "" if stated else "; the plan sets no pass_rate, so every judged call has to pass"
    if judged == 0:
        detail = f"pass_rate cannot be said: no call was judged{source}"
        return ThresholdResult(name="pass_rate", outcome="error", bound=bound, detail=detail)
    # Compared as whole calls, so that 19 of 20 is exactly 95 %.
    enough = counts.passed * 100 >= threshold.min * judged
    rate = counts.passed * 100 / judged
    relation = "at least" if enough else "less than"
    return ThresholdResult(
        name="pass_rate",
        outcome="pass" if enough else "fail",
        value=rate,
        bound=bound,
        detail=f"pass_rate is {_rounded(rate)} % ({counts.passed} of {judged} judged calls passed),"
        f" {relation} {threshold.min:g} %{source}",
    )


def _measure(threshold: MeasureThreshold, found: Distribution) -> ThresholdResult:
    shown = f"{threshold.stat} of {threshold.measure}"
    bounds = [f">= {threshold.min:g}"] if threshold.min is not None else []
    bounds += [f"<= {threshold.max:g}"] if threshold.max is not None else []
    outcome, detail = "pass", "within"
    value = _known_statistic(threshold, found)
    if value is None:
        outcome, detail = "error", _why_no_value(threshold, found)
    elif threshold.max is not None and value > threshold.max:
        outcome, detail = "fail", f"{shown} is {_rounded(value)}, more than {threshold.max:g}"
    elif threshold.min is not None and value < threshold.min:
        outcome, detail = "fail", f"{shown} is {_rounded(value)}, less than {threshold.min:g}"
    else:
        detail = f"{shown} is {_rounded(value)}, within {' and '.join(bounds) or 'no bounds'}"
    return ThresholdResult(
        name=f"{threshold.measure} {threshold.stat}",
        outcome=outcome,
        value=value,
        bound=" and ".join(bounds),
        detail=detail,
    )


def _known_statistic(threshold: MeasureThreshold, found: Distribution) -> float | None:
    try:
        return statistic(found, threshold.stat)
    except KeyError:
        return None


def _why_no_value(threshold: MeasureThreshold, found: Distribution) -> str:
    if threshold.measure not in MEASURES:
        return f"there is no measure called {threshold.measure}"
    try:
        return too_few(threshold.measure, threshold.stat, found.n)
    except KeyError:
        return f"there is no statistic called {threshold.stat}"


def _concluded(
    plan: RunPlan, state: RunState, counts: RunCounts, thresholds: list[ThresholdResult]
) -> tuple[Verdict, list[str]]:
    """The verdict and the sentences that lead to it: the decisive one, then the thresholds."""
    lines = [f"threshold {threshold.outcome}: {threshold.detail}" for threshold in thresholds]
    if state is RunState.CANCELLED:
        return Verdict.NONE, ["the run was cancelled, so it has no verdict", *lines]
    judged = counts.passed + counts.failed
    share = f"{judged} of {counts.planned} planned calls were judged"
    if judged * 100 < plan.min_valid * counts.planned:
        missed = f"{share}, fewer than the {plan.min_valid:g} % that a verdict needs (min_valid)"
        return Verdict.NONE, [f"{missed}{_lost(counts)}", *lines]
    outcomes = [threshold.outcome for threshold in thresholds]
    if "fail" in outcomes:
        return Verdict.FAIL, [f"{share}, and {_number(outcomes.count('fail'))} missed", *lines]
    if "error" in outcomes:
        unsaid = f"{_number(outcomes.count('error'))} could not be judged"
        return Verdict.NONE, [f"{share}, and {unsaid}", *lines]
    return Verdict.PASS, [f"{share}, and every threshold holds", *lines]


def _lost(counts: RunCounts) -> str:
    """Where the calls went that were not judged."""
    named = {"void": counts.void, "without a verdict": counts.unjudged, "never run": counts.missing}
    parts = [f"{number} {name}" for name, number in named.items() if number]
    return f": {', '.join(parts)}" if parts else ""


def _number(thresholds: int) -> str:
    return "one threshold was" if thresholds == 1 else f"{thresholds} thresholds were"


def _rounded(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
