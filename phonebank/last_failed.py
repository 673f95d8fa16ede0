"""`--last-failed`: what did not pass last time. Owns which results count as the last ones."""

from __future__ import annotations

from pathlib import Path

from phonebank.results import newest_run, read_rows
from phonebank.selection import Selection, selection_of_failed
from shared.errors import CommandError
from shared.plan import RunPlan


class NothingFailedError(CommandError):
    """`--last-failed` found that every call had passed."""


class LastFailed:
    """The part of a plan that did not pass in its newest results under a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, plan: RunPlan) -> Selection:
        """Raises `CommandError` without results, `NothingFailedError` when all calls passed."""
        newest = newest_run(self._folder, plan.name)
        if newest is None:
            raise CommandError(
                f"--last-failed: no results of the plan {plan.name} in {self._folder}"
            )
        folder, result = newest
        selection = selection_of_failed(read_rows(folder), plan, result.counts.planned)
        if not selection.names:
            raise NothingFailedError(f"every call passed in {folder}; nothing to run again")
        return selection
