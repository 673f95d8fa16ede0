"""The named steps of one attempt and the time each took. Owns the record; runs nothing itself."""

from __future__ import annotations

from shared.call import Step
from shared.result import StepRecord
from worker.media.clock import now_ns


class Steps:
    """Steps in the order they began; beginning one ends the one before it."""

    def __init__(self) -> None:
        self._started_ns = now_ns()
        self._records: list[StepRecord] = []
        self._current: Step | None = None
        self._current_ns = self._started_ns

    @property
    def current(self) -> Step | None:
        """The step that is under way."""
        return self._current

    def begin(self, step: Step) -> None:
        """Begin `step`; the step before it ended well."""
        self._close("ok", None)
        self._current = step
        self._current_ns = now_ns()

    def fail(self, step: Step, detail: str) -> None:
        """`step` failed; if another is under way, that one ended well before it."""
        if self._current is not step:
            self.begin(step)
        self._close("failed", detail or None)

    def done(self) -> list[StepRecord]:
        """End the step under way and return all of them."""
        self._close("ok", None)
        return list(self._records)

    def _close(self, outcome: str, detail: str | None) -> None:
        if self._current is None:
            return
        now = now_ns()
        self._records.append(
            StepRecord(
                name=self._current,
                started_ms=(self._current_ns - self._started_ns) / 1e6,
                took_ms=(now - self._current_ns) / 1e6,
                outcome=outcome,
                detail=detail,
            )
        )
        self._current = None
