"""A run as JUnit XML."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonebank.junit import junit_xml
from scheduler.verdict import Tally
from shared.call import EndedReason, RunState, Verdict
from shared.plan import PassRate
from shared.result import CallResult, CheckResult, Measures
from shared.statistics import distribution
from tests.unit.verdict.rows import plan, row


def document(*rows: CallResult, calls: int | None = None) -> ET.Element:
    tally = Tally(plan(PassRate(min=50), calls=calls or len(rows)))
    for each in rows:
        tally.add(each)
    run = tally.verdict(run="r1", state=RunState.FINISHED)
    return ET.fromstring(junit_xml(run, rows))


def test_each_call_is_a_testcase_of_its_scenario() -> None:
    """Named by scenario, persona and repetition; a pass has nothing but its properties."""
    calls, _ = document(row(duration_ms=12_345.0, repetition=3))
    (case,) = calls.findall("testcase")
    assert case.attrib == {"classname": "a.s", "name": "s / p #3", "time": "12.345"}
    assert [child.tag for child in case] == ["properties"]
    assert calls.get("tests") == "1"


def test_a_failed_call_names_its_failed_checks() -> None:
    """With their details, so that CI's summary tells what to look for."""
    checks = [
        CheckResult(name="ended", outcome="pass"),
        CheckResult(name="talk_ratio <= 0.5", outcome="fail", detail="talk_ratio is 0.9"),
    ]
    calls, _ = document(row(Verdict.FAIL, checks=checks), row())
    (failure,) = calls.findall("testcase/failure")
    assert failure.get("message") == "talk_ratio <= 0.5 (talk_ratio is 0.9)"
    assert (calls.get("failures"), calls.get("errors")) == ("1", "0")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (row(reason=EndedReason.WORKER_LOST, void_reasons=["worker_lost: gone"]), "gone"),
        (row(Verdict.NONE, checks=[CheckResult(name="x", outcome="error")]), "x"),
    ],
)
def test_a_call_without_a_verdict_is_an_error(call: CallResult, told: str) -> None:
    """CI must not take void for passed."""
    calls, _ = document(call)
    (error,) = calls.findall("testcase/error")
    assert told in str(error.get("message"))
    assert calls.get("errors") == "1"


def test_measures_are_properties() -> None:
    """One value each, or the median and the worst."""
    measures = Measures(talk_ratio=0.5, response_latency_ms=distribution([700, 900, 1100]))
    calls, _ = document(row(measures=measures))
    found = {each.get("name"): each.get("value") for each in calls.iterfind(".//property")}
    assert found["talk_ratio"] == "0.5"
    assert found["response_latency_ms.p50"] == "900"
    assert found["response_latency_ms.max"] == "1100"
    assert found["run"] == "r1"


def test_thresholds_are_a_second_suite() -> None:
    """With the run's verdict as its last case."""
    _, thresholds = document(row(Verdict.FAIL), row(Verdict.FAIL))
    assert [case.get("name") for case in thresholds] == ["pass_rate >= 50 %", "verdict"]
    assert thresholds.get("failures") == "2"


def test_calls_that_never_ran_are_one_error() -> None:
    """They have no rows, and must not vanish."""
    calls, _ = document(row(), calls=5)
    assert "4 of 5" in str(calls.findall("testcase/error")[0].get("message"))


@given(st.text())
def test_any_text_gives_valid_xml(text: str) -> None:
    """Transcripts may hold control characters, lone surrogates and markup."""
    checks = [CheckResult(name=text, outcome="fail", detail=text)]
    call = row(Verdict.FAIL, checks=checks, detail=text, persona=text, join_keys={"pc_id": text})
    assert len(document(call)) == 2


def test_lone_surrogates_and_control_characters_are_left_out() -> None:
    """The rest of the text stays."""
    checks = [CheckResult(name="a\x00b\ud800c\ufffed]]>", outcome="fail")]
    calls, _ = document(row(Verdict.FAIL, checks=checks))
    message = str(calls.findall("testcase/failure")[0].get("message"))
    assert message.startswith("abcd]]>")
