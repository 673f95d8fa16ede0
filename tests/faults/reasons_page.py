"""`docs/reasons.md`, from the tables in code: `python -m tests.faults.reasons_page` writes it."""

from __future__ import annotations

from pathlib import Path

from shared.call import REASONS, Owner, ReasonFacts
from worker.measure.validity import GATES

PAGE = Path(__file__).parents[2] / "docs" / "reasons.md"

HEAD = """\
# Why calls end, and when their figures do not count

Made by `python -m tests.faults.reasons_page` from `shared/call.py` and
`worker/measure/validity.py`; a test holds it to them. What each planted fault comes to stands in
[faults.md](faults.md).

## Ended reasons

Every call ends in exactly one. *Owner* says whose failure it is: only the agent's count against the
agent; calls of owner `fleet` or `config` are void. *Retry* says whether the fleet may try the call
again unchanged (`limits.retries`). *Steps* is where a call can end so.
"""

GATES_HEAD = """\

## Gates of validity

Each call is checked on our own instrument. Beyond a limit its `validity` is `void`, the sentence in
`void_reasons` begins with the word, and the named figures are wrong. A void call is shown with all
its figures, is tried again where the plan allows retries, and counts neither for nor against the
agent; when fewer than `min_valid` per cent of the planned calls remain, the run's verdict is
`none`.
"""


def page() -> str:
    """The whole page."""
    reasons = ["| reason | owner | retry | steps | sentence |", "|---|---|---|---|---|"]
    for reason, facts in REASONS.items():
        reasons.append(
            f"| `{reason}` | {facts.owner or 'nobody'} | {_retry(facts)} "
            f"| {', '.join(facts.steps) or 'any'} | {facts.sentence} |"
        )
    gates = ["| word | what is looked at | limit | voids |", "|---|---|---|---|"]
    gates += [
        f"| `{gate.reason}` | {gate.figure} | {gate.limit:g} {gate.unit} | {gate.voids} |"
        for gate in GATES
    ]
    return "\n".join([HEAD, *reasons, GATES_HEAD, *gates, ""])


def _retry(facts: ReasonFacts) -> str:
    return "yes" if facts.owner is Owner.FLEET and facts.retryable else "no"


if __name__ == "__main__":
    PAGE.write_text(page())
