"""Which part of a plan runs: `--only` and `--last-failed`. Owns what the words select.

The change of the plan's tree itself is `phonebank.plan_edits`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from phonebank.plan_edits import keep_only
from shared.call import Verdict
from shared.errors import CommandError
from shared.expansion import call_of_index
from shared.plan import RunPlan
from shared.plan_text import Surface
from shared.result import CallResult

NOUNS = ("agent", "scenario", "persona")


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Names to keep, by noun; a noun that is absent keeps all of its kind."""

    names: dict[str, set[str]] = {}

    def apply(self, tree: Surface) -> None:
        """Drop what is not selected. Raises `CommandError` for a name that the plan lacks."""
        for noun, names in self.names.items():
            keep_only(tree, noun, *sorted(names))


def selection_from(only: Iterable[str]) -> Selection:
    """Read `scenario=NAME` words; the same noun twice keeps both. Raises `CommandError`."""
    names: dict[str, set[str]] = {}
    for word in only:
        noun, _, name = word.partition("=")
        if noun not in NOUNS or not name:
            raise CommandError(f"--only {word}: expected scenario=NAME, persona=NAME or agent=NAME")
        names.setdefault(noun, set()).add(name)
    return Selection(names=names)


def selection_of_failed(rows: Iterable[CallResult], plan: RunPlan, planned: int) -> Selection:
    """The agents, scenarios and personas of calls that did not pass, void and missing included.

    Coarse on purpose: a plan is a matrix; what runs again is the smallest one that holds them.
    Names that the plan has lost since then are left out. Empty when there is nothing to run again.
    """
    failed: set[tuple[str, str, str]] = set()
    ran: set[int] = set()
    for row in rows:
        ran.add(row.index)
        if row.verdict is not Verdict.PASS:
            failed.add((row.agent, row.scenario, row.persona))
    if planned == plan.call_count:  # the same matrix: calls that never ran can be named
        failed.update(_names_of(plan, index) for index in range(planned) if index not in ran)
    parts = (plan.agents, plan.scenarios, plan.personas)
    known = [{part.name for part in section} for section in parts]
    still = [
        call
        for call in failed
        if all(name in names for name, names in zip(call, known, strict=True))
    ]
    if not still:
        return Selection()
    columns = zip(*still, strict=True)
    return Selection(names={noun: set(column) for noun, column in zip(NOUNS, columns, strict=True)})


def _names_of(plan: RunPlan, index: int) -> tuple[str, str, str]:
    call = call_of_index(plan, index)
    return (
        plan.agents[call.lane].name,
        plan.scenarios[call.scenario].name,
        plan.personas[call.persona].name,
    )
