"""The `contains` of each wait, held against what the agent reports of its own words.

Owns the windows of time whose text belongs to a wait; refuses to judge anything else. A text may
come a little before or after its sound, so a window reaches from the caller's last words to its
next ones, and no further than into the agent's next turn that is waited for.
"""

from __future__ import annotations

import msgspec

from shared.result import CheckResult
from worker.caller.floor import AgentTurn
from worker.caller.script import Await

NO_TEXT = "the agent reports no text, so its words cannot be matched"
NOT_REACHED = "the call ended before the script came to this step"
SKIPPED = "the persona speaks first, so this wait was left out"


class _Window(msgspec.Struct):
    from_ms: float
    until_ms: float | None = None


class Matches:
    """Collects the agent's texts and says which waits they satisfied."""

    def __init__(self, waits: list[Await], skipped: list[Await]) -> None:
        self._waits = [wait for wait in waits if wait.contains]
        self._skipped = [wait for wait in skipped if wait.contains]
        self._windows: dict[int, _Window] = {}
        self._texts: list[tuple[float, str]] = []
        self._taken_until_ms = 0.0
        """End of the last turn that a wait took for itself."""

    def text(self, at_ms: float, text: str) -> None:
        """The agent reported these words of its own."""
        self._texts.append((at_ms, text))

    def open(self, wait: Await, turn: AgentTurn, own_ended_ms: float) -> None:
        """`wait` got `turn`, after words of the caller that ended at `own_ended_ms`."""
        self.close(turn.began_ms)
        from_ms = max(self._taken_until_ms, min(turn.began_ms, own_ended_ms))
        self._windows.setdefault(wait.step, _Window(from_ms))
        self._taken_until_ms = turn.audible_until_ms

    def close(self, until_ms: float) -> None:
        """Words reported after `until_ms` belong to another turn."""
        for window in self._windows.values():
            if window.until_ms is None:
                window.until_ms = max(until_ms, window.from_ms)

    def results(self) -> list[CheckResult]:
        """One check for each wait with `contains`, in the order of the script."""
        checks = [_error(wait, SKIPPED) for wait in self._skipped]
        return checks + [self._judge(wait) for wait in self._waits]

    def _judge(self, wait: Await) -> CheckResult:
        window = self._windows.get(wait.step)
        if window is None:
            return _error(wait, NOT_REACHED)
        if not self._texts:
            return _error(wait, NO_TEXT)
        until_ms = float("inf") if window.until_ms is None else window.until_ms
        said = " ".join(text for at_ms, text in self._texts if window.from_ms <= at_ms <= until_ms)
        found = [words for words in wait.contains if words.casefold() in said.casefold()]
        if found:
            detail = f"the agent said {found[0]!r}"
            return CheckResult(name=_name(wait), outcome="pass", detail=detail)
        wanted = ", ".join(repr(words) for words in wait.contains)
        return CheckResult(name=_name(wait), outcome="fail", detail=f"none of {wanted} in {said!r}")


def _name(wait: Await) -> str:
    return f"script[{wait.step}] wait_for_agent contains"


def _error(wait: Await, why: str) -> CheckResult:
    return CheckResult(name=_name(wait), outcome="error", detail=why)
