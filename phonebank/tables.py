"""What a run came to, as people read it: calls, findings, verdict. Owns words and columns.

Everything fits 80 columns. Times of a call are shown in seconds, as a caller would feel them.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from shared.call import REASONS, Validity, Verdict
from shared.result import CallResult, Distribution, RunResult

MOST_ROWS = 40
"""A load test's table shows so many calls, those that did not pass first."""
MOST_FINDINGS = 12
MOST_EXAMPLES = 3
"""One reason may have several causes: a refused offer is a 401 here and a 404 there."""

VERDICT_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.NONE: "yellow"}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that several calls have in common and that kept them from passing."""

    what: str
    calls: list[int]
    examples: dict[str, int]
    """What was said of it, each with the first call that it was said of."""


def clock(duration_ms: float) -> str:
    """`1:07`, or `2:01:07` from an hour on."""
    minutes, seconds = divmod(int(duration_ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def verdict_text(verdict: Verdict, validity: Validity) -> Text:
    """`pass`, `fail`, `none`, or `void` for a call that our own side spoiled."""
    if validity is Validity.VOID:
        return Text("void", style="yellow")
    return Text(str(verdict), style=VERDICT_STYLES[verdict])


def calls_table(rows: list[CallResult]) -> RenderableType:
    """A line per call, in the plan's order."""
    several_agents = len({row.agent for row in rows}) > 1
    table = Table(box=None, padding=(0, 1, 0, 0), collapse_padding=True, header_style="dim")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("", width=4)
    for title in [*(["agent"] if several_agents else []), "scenario", "persona"]:
        table.add_column(title)
    table.add_column("rep", justify="right", width=3)
    table.add_column("ended")
    for title, width in (("first", 5), ("reply", 9), ("barge", 5), ("time", 4)):
        table.add_column(title, justify="right", no_wrap=True, min_width=width)
    shown = _rows_to_show(rows)
    for row in shown:
        table.add_row(*_cells(row, several_agents=several_agents))
    below = Text("first: word after connect; reply: median/longest; barge: stop; seconds")
    if len(shown) < len(rows):
        below.append(f"\n… and {len(rows) - len(shown)} more calls in calls.jsonl")
    below.stylize("dim")
    return Group(table, below)


def findings_of(rows: Iterable[CallResult]) -> list[Finding]:
    """What kept calls from passing, most frequent first."""
    found: dict[str, Finding] = {}
    for row in rows:
        for what, example in _complaints(row):
            finding = found.setdefault(what, Finding(what=what, calls=[], examples={}))
            finding.calls.append(row.index)
            if example and len(finding.examples) < MOST_EXAMPLES:
                finding.examples.setdefault(example, row.index)
    return sorted(found.values(), key=lambda finding: (-len(finding.calls), finding.what))


def findings_table(findings: list[Finding]) -> RenderableType:
    """The findings as lines; what is beyond `MOST_FINDINGS` is counted."""
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), title_justify="left")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings[:MOST_FINDINGS]:
        some = ", ".join(f"#{index}" for index in finding.calls[:5])
        where = f"{some}, …" if len(finding.calls) > 5 else some
        words = Text(finding.what, style="bold").append(f"  {where}", style="not bold dim")
        several = len(finding.examples) > 1
        for example, index in finding.examples.items():
            words.append(f"\n#{index}: " if several else "\n", style="not bold dim")
            words.append(example, style="not bold")
        table.add_row(f"{len(finding.calls)}×", words)
    more = len(findings) - MOST_FINDINGS
    return Group(table, Text(f"… and {more} more", style="dim")) if more > 0 else table


def verdict_lines(result: RunResult) -> RenderableType:
    """The verdict, large and first, with the sentences that lead to it (thresholds among them)."""
    style = VERDICT_STYLES[result.verdict]
    word = str(result.verdict).upper() if result.verdict is not Verdict.NONE else "NO VERDICT"
    head = Text(f" {word} ", style=f"bold reverse {style}").append(
        f"  {result.name}", style="not reverse bold default"
    )
    lines: list[RenderableType] = [head, Text(f"  {_counts(result)}")]
    lines += [Padding(Text(sentence), (0, 0, 0, 2)) for sentence in result.why]
    return Group(*lines)


def _counts(result: RunResult) -> str:
    counts = result.counts
    words = [f"{counts.passed} of {counts.planned} calls passed"]
    named = {
        "failed": counts.failed,
        "without a verdict": counts.unjudged,
        "void": counts.void,
        "never ran": counts.missing,
        "tried more than once": counts.retried,
    }
    words += [f"{number} {what}" for what, number in named.items() if number]
    return ", ".join(words)


def _rows_to_show(rows: list[CallResult]) -> list[CallResult]:
    ordered = sorted(rows, key=lambda row: row.index)
    if len(ordered) <= MOST_ROWS:
        return ordered
    by_interest = sorted(ordered, key=lambda row: row.verdict is Verdict.PASS)
    return sorted(by_interest[:MOST_ROWS], key=lambda row: row.index)


def _cells(row: CallResult, *, several_agents: bool) -> list[str | Text]:
    measures = row.measures
    reply = measures.response_latency_ms
    return [
        str(row.index),
        verdict_text(row.verdict, row.validity),
        *([_cut(row.agent)] if several_agents else []),
        _cut(row.scenario),
        _cut(row.persona),
        str(row.repetition),
        _cut(str(row.ended_reason)),
        _seconds(measures.time_to_first_word_ms),
        _median_and_max(reply),
        _seconds(measures.barge_in_stop_ms.max),
        clock(row.duration_ms),
    ]


def _cut(name: str) -> Text:
    """On one line; the columns of names are those that give way on a narrow screen."""
    return Text(name, no_wrap=True, overflow="ellipsis")


def _median_and_max(values: Distribution) -> str:
    if values.max is None:
        return "-"
    return f"{_seconds(values.p50)}/{_seconds(values.max)}"


def _seconds(value_ms: float | None) -> str:
    return "-" if value_ms is None else f"{value_ms / 1000:.2f}"


def _complaints(row: CallResult) -> list[tuple[str, str]]:
    """What kept one call from passing, as (what, example).

    Checks without evidence are named only where nothing else went wrong: a call that was refused
    has nothing that could be measured, and twelve sentences about that hide the one that counts.
    """
    if row.validity is Validity.VOID:
        reasons = row.void_reasons or [str(row.ended_reason)]
        return [(f"void: {reason}", row.detail) for reason in reasons]
    if row.verdict is Verdict.PASS:
        return []
    found: list[tuple[str, str]] = []
    if row.failure_owner is not None:
        sentence = REASONS[row.ended_reason].sentence
        found.append((str(row.ended_reason), row.detail or sentence))
    found += [(check.name, check.detail) for check in row.checks if check.outcome == "fail"]
    errors = [check for check in row.checks if check.outcome == "error"]
    return found or [(f"{check.name} (no evidence)", check.detail) for check in errors]
