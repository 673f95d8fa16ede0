"""Following a run to its end, and to an end that does not come."""

from __future__ import annotations

from typing import Any

import pytest

from phonebank import reach
from phonebank.reach import Reach, Watcher, follow
from shared.call import RunState
from shared.errors import FleetError
from shared.state.redis import connect
from shared.state.runs import RunRecord, RunStatus
from shared.storage import Storage

THERE = Reach(connect("redis://127.0.0.1:1/0"), Storage.open("memory://"), "here")
"""A Redis that nobody asks."""


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[RunStatus]:
    """What the fleet says of the run, one answer after the other, the last one for ever."""
    said: list[RunStatus] = []

    async def read_run(*_: Any) -> RunStatus:
        return said.pop(0) if len(said) > 1 else said[0]

    async def events(*_: Any) -> list[Any]:
        return []

    monkeypatch.setattr(reach, "read_run", read_run)
    monkeypatch.setattr(reach, "events", events)
    return said


def status(state: RunState, *, done: int) -> RunStatus:
    return RunStatus(run="run-1", state=state, record=RunRecord(name="n"), planned=2, done=done)


async def test_a_run_is_followed_until_its_results_are_stored(answers: list[RunStatus]) -> None:
    """Not until its last call has ended."""
    answers += [
        status(RunState.RUNNING, done=1),
        status(RunState.FINISHING, done=2),
        status(RunState.FINISHED, done=2),
    ]
    seen: list[RunState] = []
    await follow(THERE, "run-1", Watcher(lambda now: seen.append(now.state), lambda _: None))
    assert seen == [RunState.RUNNING, RunState.FINISHING, RunState.FINISHED]


async def test_a_run_whose_results_cannot_be_stored_is_not_waited_for_for_ever(
    answers: list[RunStatus], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk stays full, and a CI job has to end."""
    monkeypatch.setattr(reach, "STORING_S", 0.0)
    monkeypatch.setattr(reach, "STORING_S_PER_CALL", 0.0)
    answers.append(status(RunState.FINISHING, done=2))
    with pytest.raises(FleetError, match="is the storage full"):
        await follow(THERE, "run-1", Watcher(lambda _: None, lambda _: None))
