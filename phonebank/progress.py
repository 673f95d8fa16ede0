"""Live progress of a run. Owns how it looks while calls are held; refuses to ask the fleet.

On a terminal a bar, counters and the last calls to end; elsewhere (CI) a plain line every few
seconds.
"""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Self

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from phonebank.tables import clock, verdict_text
from shared.summary import Summary

LAST_CALLS = 5
PLAIN_LINE_EVERY_S = 5.0


class RunView(msgspec.Struct, kw_only=True):
    """What progress shows: numbers of calls."""

    name: str
    planned: int
    running: int = 0
    done: int = 0
    passed: int = 0
    failed: int = 0
    void: int = 0
    note: str = ""
    """A sentence about what the run waits for."""


class Progress:
    """Shows `RunView`s and ended calls until the block ends."""

    def __init__(self, console: Console, view: RunView) -> None:
        self._console = console
        self._view = view
        self._last: deque[Summary] = deque(maxlen=LAST_CALLS)
        self._started = time.monotonic()
        self._said_at = float("-inf")
        self._said = ""
        self._live = (
            Live(console=console, refresh_per_second=8, transient=True, get_renderable=self._drawn)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
        else:
            self._say(at_once=True)

    def show(self, view: RunView) -> None:
        """Take new numbers."""
        self._view = view
        if self._live is None:
            self._say(at_once=False)

    def ended(self, call: Summary) -> None:
        """Take a call that ended."""
        self._last.append(call)

    def _say(self, *, at_once: bool) -> None:
        now = time.monotonic()
        line = _counters(self._view).plain
        if line == self._said or (not at_once and now - self._said_at < PLAIN_LINE_EVERY_S):
            return
        self._said, self._said_at = line, now
        elapsed = clock(1000 * (now - self._started))
        self._console.print(f"{elapsed}  {self._view.name}: {line}", markup=False, soft_wrap=True)

    def _drawn(self) -> Group:
        view = self._view
        elapsed = clock(1000 * (time.monotonic() - self._started))
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            Text(view.name, style="bold", overflow="ellipsis", no_wrap=True),
            ProgressBar(total=max(view.planned, 1), completed=view.done, width=30),
            Text(elapsed, style="dim"),
        )
        return Group(bar, _counters(view), *(_call_line(call) for call in self._last))


def _counters(view: RunView) -> Text:
    parts = [
        (f"{view.done}/{view.planned} calls", "bold"),
        (f"{view.running} running", "cyan"),
        (f"{view.passed} passed", "green"),
        (f"{view.failed} failed", "red" if view.failed else ""),
        (f"{view.void} void", "yellow" if view.void else ""),
    ]
    text = Text(", ").join([Text(words, style=style) for words, style in parts])
    return text.append(f"  {view.note}", style="dim") if view.note else text


def _call_line(call: Summary) -> Text:
    line = Text("  ", no_wrap=True, overflow="ellipsis")
    line.append_text(verdict_text(call.verdict, call.validity))
    line.append(f"  #{call.index} {call.scenario} / {call.persona}")
    line.append(f"  {clock(call.duration_ms)}  {call.ended_reason}", style="dim")
    return line
