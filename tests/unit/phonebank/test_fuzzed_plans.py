"""Mutated plans through the command; `python -m tests.prove.fuzz_plans` runs tens of thousands."""

from __future__ import annotations

from tests.prove.fuzz_plans import fuzz


def test_a_mutated_plan_is_refused_or_runs() -> None:
    """Exit code 2 or a plan, and never a traceback."""
    broken, told = fuzz(count=250, seed=20260)
    assert broken == 0, told
