"""A run as JUnit XML for CI. Owns that format; refuses to judge anything anew.

Elements and attributes as Jenkins' junit-10 schema and GitLab read them: one suite of calls, one of
thresholds. Text that XML 1.0 cannot hold is left out, so any transcript gives a valid file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from shared.call import Validity, Verdict
from shared.result import CallResult, CheckResult, Distribution, Measures, RunResult
from shared.statistics import PER_CALL_MEASURES, PER_TURN_MEASURES

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""All but the Char production of XML 1.0, section 2.2."""


def junit_xml(run: RunResult, rows: Iterable[CallResult]) -> bytes:
    """UTF-8 bytes of a `testsuites` document: one testcase per call, one per threshold.

    A call's verdict `fail` is a failure; `none` (void or unjudged) is an error, because CI treats
    it as one. Calls that were planned and never ran are one error in the suite of calls.
    """
    root = _element("testsuites", name=run.name)
    calls = _suite(root, run.name, [_call_case(row) for row in rows] + _missing_case(run))
    properties = _element("properties")
    for name, value in [("run", run.run), ("seed", run.seed), *sorted(run.labels.items())]:
        properties.append(_element("property", name=name, value=str(value)))
    calls.insert(0, properties)
    calls.set("timestamp", _clean(run.submitted_at.removesuffix("Z")))
    _suite(root, f"{run.name} thresholds", [*_threshold_cases(run), _verdict_case(run)])
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(root: ET.Element, name: str, cases: list[ET.Element]) -> ET.Element:
    suite = _element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped="0",
        time=f"{sum(float(case.get('time', '0')) for case in cases):.3f}",
    )
    suite.extend(cases)
    root.append(suite)
    return suite


def _call_case(row: CallResult) -> ET.Element:
    case = _element(
        "testcase",
        classname=f"{row.agent}.{row.scenario}",
        name=f"{row.scenario} / {row.persona} #{row.repetition}",
        time=f"{row.duration_ms / 1000:.3f}",
    )
    case.append(_properties(row))
    if row.verdict is Verdict.FAIL:
        case.append(_complaint("failure", _why_failed(row), _details(row)))
    elif row.verdict is Verdict.NONE:
        case.append(_complaint("error", _why_unjudged(row), _details(row)))
    return case


def _why_failed(row: CallResult) -> str:
    causes = [str(row.ended_reason)] if row.failure_owner is not None else []
    causes += [f"{check.name} ({check.detail})" for check in _with(row, "fail")]
    return "; ".join(causes) or "the call failed"


def _why_unjudged(row: CallResult) -> str:
    if row.validity is Validity.VOID:
        return "; ".join(["void", *(row.void_reasons or [str(row.ended_reason)])])
    causes = [f"{check.name} ({check.detail})" for check in _with(row, "error")]
    return "; ".join(causes) or f"no verdict: {row.ended_reason}"


def _with(row: CallResult, outcome: str) -> list[CheckResult]:
    return [check for check in row.checks if check.outcome == outcome]


def _details(row: CallResult) -> str:
    lines = [f"call {row.index}, attempt {row.attempt}, seed {row.seed}"]
    lines.append(f"ended: {row.ended_reason}" + (f", {row.detail}" if row.detail else ""))
    if row.failed_step is not None:
        lines.append(f"failed step: {row.failed_step}")
    lines += [f"{check.outcome}: {check.name}: {check.detail}" for check in row.checks]
    if row.recording is not None:
        lines.append(f"recording: {row.recording.key}")
    return "\n".join(lines)


def _properties(row: CallResult) -> ET.Element:
    properties = _element("properties")
    named = {"index": str(row.index), "attempt": str(row.attempt), "seed": str(row.seed)}
    named |= {"ended_reason": str(row.ended_reason), "validity": str(row.validity)}
    for name, value in {**named, **row.join_keys, **_measured(row.measures)}.items():
        properties.append(_element("property", name=name, value=value))
    return properties


def _measured(measures: Measures) -> dict[str, str]:
    """Each measure that has a value; of one with a value per turn, the median and the worst."""
    found: dict[str, str] = {}
    for name in PER_CALL_MEASURES:
        value = getattr(measures, name)
        if value is not None:
            found[name] = _shown(value)
    for name in PER_TURN_MEASURES:
        values: Distribution = getattr(measures, name)
        if values.p50 is not None and values.max is not None:
            found[f"{name}.p50"] = _shown(values.p50)
            found[f"{name}.max"] = _shown(values.max)
    return found


def _missing_case(run: RunResult) -> list[ET.Element]:
    if not run.counts.missing:
        return []
    case = _element("testcase", classname="run", name="calls that never ran", time="0.000")
    message = f"{run.counts.missing} of {run.counts.planned} planned calls never ran"
    case.append(_complaint("error", message, message))
    return [case]


def _threshold_cases(run: RunResult) -> list[ET.Element]:
    cases = []
    for threshold in run.thresholds:
        name = f"{threshold.name} {threshold.bound}".strip()
        case = _element("testcase", classname="thresholds", name=name, time="0.000")
        if threshold.outcome in {"fail", "error"}:
            kind = "failure" if threshold.outcome == "fail" else "error"
            case.append(_complaint(kind, threshold.detail, threshold.detail))
        cases.append(case)
    return cases


def _verdict_case(run: RunResult) -> ET.Element:
    case = _element("testcase", classname="thresholds", name="verdict", time="0.000")
    if run.verdict is not Verdict.PASS:
        kind = "failure" if run.verdict is Verdict.FAIL else "error"
        case.append(_complaint(kind, f"verdict {run.verdict}", "\n".join(run.why)))
    return case


def _complaint(kind: str, message: str, text: str) -> ET.Element:
    complaint = _element(kind, message=message, type=kind)
    complaint.text = _clean(text)
    return complaint


def _shown(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _element(tag: str, **attributes: str) -> ET.Element:
    return ET.Element(tag, {name: _clean(value) for name, value in attributes.items()})


def _clean(text: str) -> str:
    return _NOT_XML.sub("", text)
