"""The one error tree. Owns what an error says of itself; refuses to decide what happens next.

    PhonebankError
    ├── PlanError         the plan is wrong: place and what would be right      (exit code 2)
    ├── CommandError      the command line or a setting is wrong                (exit code 2)
    ├── FleetError        the fleet failed or cannot be reached                 (exit code 4)
    │   ├── StateError    Redis did not answer, or answered nonsense
    │   ├── StorageError  object storage refused, failed or is full
    │   └── StudioError   the studio process failed a job
    └── CallFailure       a call ended for a reason of `shared.call.EndedReason`

`reason` is stable: it is a metric label and a result field. `retryable` says whether the same thing
may succeed if tried again unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from shared.call import EndedReason, Step


class PhonebankError(Exception):
    """Anything phonebank reports on purpose."""

    reason: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False


class CommandError(PhonebankError):
    """The command line or a setting is wrong."""

    reason = "command"


class PlanError(PhonebankError):
    """A plan was refused before anything ran.

    `path` is a JSON path (`$.scenarios[1].script[3].say`), `line` counts from 1 and is None
    where the plan has no lines (JSON on one line), `right` says what would have been accepted.
    """

    reason = "plan"

    def __init__(
        self,
        message: str,
        *,
        path: str = "$",
        right: str | None = None,
        line: int | None = None,
        file: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.right = right
        self.line = line
        self.file = file

    def __str__(self) -> str:
        place = self.file or "plan"
        if self.line is not None:
            place = f"{place}:{self.line}"
        text = f"{place}: {self.path}: {self.message}"
        return f"{text} ({self.right})" if self.right else text


class FleetError(PhonebankError):
    """The fleet failed or cannot be reached."""

    reason = "fleet"
    retryable = True


class StateError(FleetError):
    """Redis did not answer, or answered nonsense."""

    reason = "state"


class StorageError(FleetError):
    """Object storage refused, failed or is full."""

    reason = "storage"


class StudioError(FleetError):
    """The studio process failed a job."""

    reason = "studio"


class CallFailure(PhonebankError):  # noqa: N818 - a call that fails is an outcome, not a defect
    """A call ended early at `step` for `ended_reason`; `detail` is for people, without secrets."""

    reason = "call"

    def __init__(self, ended_reason: EndedReason, step: Step, detail: str = "") -> None:
        super().__init__(
            f"{ended_reason} at {step}: {detail}" if detail else f"{ended_reason} at {step}"
        )
        self.ended_reason = ended_reason
        self.step = step
        self.detail = detail


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error inside nested groups: the others followed from it."""
    first = errors.exceptions[0]
    return first_error(first) if isinstance(first, BaseExceptionGroup) else first
