"""Progress on a terminal and in a CI log."""

from __future__ import annotations

import io

from rich.console import Console

from phonebank.progress import Progress, RunView
from shared.summary import summary_of
from tests.unit.phonebank.calls import a_call


def test_a_terminal_sees_bar_counters_and_the_last_calls() -> None:
    """All of it in one picture that is drawn again and again."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=24)
    with Progress(console, RunView(name="nightly", planned=12)) as progress:
        progress.ended(summary_of(a_call(3)))
        progress.show(RunView(name="nightly", planned=12, running=4, done=5, passed=4, failed=1))
    for words in ("nightly", "5/12 calls", "4 running", "1 failed", "#3 table-for-two / calm"):
        assert words in out.getvalue()


def test_a_log_gets_plain_lines_and_the_last_state() -> None:
    """No control characters, no line that says what the line before said."""
    out = io.StringIO()
    with Progress(Console(file=out, width=80), RunView(name="nightly", planned=2)) as progress:
        for done in (0, 0, 1, 2):
            progress.show(RunView(name="nightly", planned=2, done=done, passed=done))
    lines = out.getvalue().splitlines()
    assert [line.split("  ")[1] for line in lines] == [
        "nightly: 0/2 calls, 0 running, 0 passed, 0 failed, 0 void",
        "nightly: 2/2 calls, 0 running, 2 passed, 0 failed, 0 void",
    ]
    assert "\x1b" not in out.getvalue()


def test_a_plans_name_is_never_read_as_markup() -> None:
    """Names are free text."""
    out = io.StringIO()
    with Progress(Console(file=out, width=80), RunView(name="[bold]x[/]", planned=1)):
        pass
    assert "[bold]x[/]" in out.getvalue()
