"""What the command's exit code says. Owns the numbers, which are promises; refuses to print."""

from __future__ import annotations

from enum import IntEnum

from shared.call import RunState, Verdict
from shared.errors import CommandError, PlanError
from shared.result import RunResult


class ExitCode(IntEnum):
    """Exit codes of every `phonebank` command."""

    PASSED = 0
    FAILED = 1
    WRONG = 2
    """The plan or the command line is wrong; nothing ran."""
    NO_VERDICT = 3
    FLEET = 4
    """The fleet failed or cannot be reached."""
    CANCELLED = 130


def of_verdict(verdict: Verdict) -> ExitCode:
    """The code of a run that ended; no verdict is a failure of its own, never a pass."""
    codes = {Verdict.PASS: ExitCode.PASSED, Verdict.FAIL: ExitCode.FAILED}
    return codes.get(verdict, ExitCode.NO_VERDICT)


def of_run(result: RunResult) -> ExitCode:
    """The code of a run; one that somebody cancelled passed nothing, whatever its calls say."""
    if result.state is RunState.CANCELLED and result.verdict is Verdict.PASS:
        return ExitCode.NO_VERDICT
    return of_verdict(result.verdict)


def of_error(error: Exception) -> ExitCode:
    """The code of a command that raised; what nobody foresaw counts as the fleet's failure."""
    if isinstance(error, PlanError | CommandError):
        return ExitCode.WRONG
    return ExitCode.FLEET
