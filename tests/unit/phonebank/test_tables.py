"""What people read at the end of a run."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from phonebank.tables import (
    MOST_ROWS,
    calls_table,
    clock,
    findings_of,
    findings_table,
    verdict_lines,
)
from shared.call import EndedReason, Validity, Verdict
from shared.result import CheckResult, RunCounts
from tests.unit.phonebank.calls import a_call, a_run


def shown(what: RenderableType, width: int = 80) -> str:
    """The text of a renderable on a plain console."""
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(what)
    return out.getvalue()


def test_the_table_of_calls_fits_eighty_columns() -> None:
    """With the longest names and reasons there are, and several agents."""
    rows = [
        a_call(
            9000 + place,
            agent=f"an-agent-with-a-name-that-goes-on-{place}",
            scenario="a-scenario-with-a-name-that-goes-on",
            persona="a-persona-with-a-name-that-goes-on",
            ended_reason=EndedReason.AGENT_STOPPED_ANSWERING,
            verdict=Verdict.FAIL,
        )
        for place in range(3)
    ]
    text = shown(calls_table(rows))
    assert max(map(len, text.splitlines())) <= 80
    for word in ("9001", "fail", "0.41", "0.90/1.48", "0.24", "0:31"):
        assert word in text


def test_a_line_says_what_a_caller_felt() -> None:
    """Index, verdict, who, how it ended, and times in seconds."""
    line = shown(calls_table([a_call(3)])).splitlines()[1].split()
    assert line[:6] == ["3", "pass", "table-for-two", "calm", "0", "caller_hung_up"]
    assert line[6:] == ["0.41", "0.90/1.48", "0.24", "0:31"]


def test_a_large_run_shows_what_did_not_pass_first() -> None:
    """Ten thousand lines are read by nobody; the rest is counted."""
    rows = [a_call(index) for index in range(MOST_ROWS * 2)]
    rows[-1] = a_call(MOST_ROWS * 2 - 1, Verdict.FAIL)
    text = shown(calls_table(rows))
    assert "fail" in text
    assert f"and {MOST_ROWS} more calls in calls.jsonl" in text


def test_findings_are_grouped_and_the_most_frequent_comes_first() -> None:
    """One sentence per cause, with the calls that show it."""
    slow = CheckResult(name="time_to_first_word_ms", outcome="fail", detail="4100 is over 3000")
    rows = [a_call(index, Verdict.FAIL, checks=[slow]) for index in (4, 9)]
    rows.append(a_call(1, Verdict.FAIL, ended_reason=EndedReason.AGENT_NEVER_SPOKE))
    rows.append(a_call(2))
    findings = findings_of(rows)
    assert [finding.what for finding in findings] == ["time_to_first_word_ms", "agent_never_spoke"]
    assert findings[0].calls == [4, 9]
    text = shown(findings_table(findings))
    assert "#4, #9" in text
    assert "4100 is over 3000" in text
    assert "the agent was connected and never spoke" in text


def test_different_causes_of_one_reason_are_told_apart() -> None:
    """The first call's sentence is not said of the others; at most three are shown."""
    details = ["HTTP 302", "HTTP 401", "HTTP 302", "HTTP 404", "HTTP 500"]
    rows = [
        a_call(index, Verdict.FAIL, ended_reason=EndedReason.OFFER_REFUSED, detail=detail)
        for index, detail in enumerate(details)
    ]
    (finding,) = findings_of(rows)
    assert finding.examples == {"HTTP 302": 0, "HTTP 401": 1, "HTTP 404": 3}
    text = shown(findings_table([finding]))
    assert "5× offer_refused  #0, #1, #2, #3, #4" in text
    assert "#1: HTTP 401" in text


def test_checks_without_evidence_are_named_only_where_nothing_else_went_wrong() -> None:
    """They explain a missing verdict; beside a refused call they are noise."""
    blind = CheckResult(name="no_response", outcome="error", detail="nothing to measure it on")
    refused = a_call(0, Verdict.FAIL, ended_reason=EndedReason.OFFER_REFUSED, checks=[blind])
    assert [finding.what for finding in findings_of([refused])] == ["offer_refused"]
    unjudged = a_call(1, Verdict.NONE, checks=[blind])
    assert [finding.what for finding in findings_of([unjudged])] == ["no_response (no evidence)"]


def test_a_void_call_is_never_a_finding_about_the_agent() -> None:
    """Our own failures say that they are ours."""
    row = a_call(0, Verdict.NONE, validity=Validity.VOID, void_reasons=["caller_degraded"])
    assert [finding.what for finding in findings_of([row])] == ["void: caller_degraded"]
    assert "void" in shown(calls_table([row]))


def test_the_verdict_comes_with_its_reasons_and_counts() -> None:
    """Large, and with the sentences that lead to it."""
    result = a_run(
        Verdict.NONE,
        why=["only 50 % of the planned calls were judged"],
        counts=RunCounts(planned=4, passed=2, void=2),
    )
    text = shown(verdict_lines(result))
    assert text.startswith(" NO VERDICT   booking")
    for words in ("2 of 4 calls passed, 2 void", "only 50 %"):
        assert words in text


@pytest.mark.parametrize(
    ("duration_ms", "text"), [(0, "0:00"), (67_900, "1:07"), (7_267_000, "2:01:07")]
)
def test_a_clock_reads_as_on_a_phone(duration_ms: float, text: str) -> None:
    """Minutes and seconds, hours where there are any."""
    assert clock(duration_ms) == text
