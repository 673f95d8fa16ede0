"""What the command exits with."""

from __future__ import annotations

import pytest

from phonebank.exit_codes import of_error, of_run
from shared.call import RunState, Verdict
from shared.errors import CommandError, FleetError, PlanError, StateError, StorageError
from tests.unit.phonebank.calls import a_run


@pytest.mark.parametrize(
    ("verdict", "code"), [(Verdict.PASS, 0), (Verdict.FAIL, 1), (Verdict.NONE, 3)]
)
def test_a_run_exits_with_its_verdict(verdict: Verdict, code: int) -> None:
    """CI reads nothing but this number."""
    assert of_run(a_run(verdict)) == code


def test_a_cancelled_run_never_exits_as_passed() -> None:
    """What was not called was not tested."""
    assert of_run(a_run(Verdict.PASS, state=RunState.CANCELLED)) == 3


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PlanError("wrong"), 2),
        (CommandError("wrong"), 2),
        (FleetError("gone"), 4),
        (StateError("gone"), 4),
        (StorageError("full"), 4),
        (ZeroDivisionError("ours"), 4),
    ],
)
def test_an_error_exits_with_whose_it_is(error: Exception, code: int) -> None:
    """2 is for the user to mend, 4 for whoever runs the fleet."""
    assert of_error(error) == code
