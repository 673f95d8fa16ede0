"""What `phonebank runs` and `show` say."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from phonebank.cli import main
from phonebank.runs import runs_table
from shared.call import RunState, Verdict
from shared.state.runs import RunRecord, RunStatus


@pytest.mark.parametrize("name", ["a name that goes on and on " * 4, "短い名前" * 30])
def test_a_long_name_gives_way_to_everything_else(name: str) -> None:
    """The run's id is what `show` and `cancel` need; a narrow screen must not cut it."""
    status = RunStatus(
        run="run-d14cf02cc5072e98",
        state=RunState.FINISHED,
        record=RunRecord(name=name[:120]),
        planned=100_000,
        done=99_999,
        verdict=Verdict.FAIL,
    )
    out = io.StringIO()
    Console(file=out, width=80).print(runs_table([status]))
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    for word in ("run-d14cf02cc5072e98", "finished", "fail", "99999/100000"):
        assert word in lines[1]


@pytest.mark.parametrize("run", ["../..", "", "a/b", "a\nb"])
def test_what_is_no_run_is_told_so(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Not an internal error of the storage's paths."""
    urls = ["--redis-url", "redis://127.0.0.1:1/0", "--storage-url", "memory://"]
    assert main(["show", run, *urls]) == 2
    assert "is not a run" in capsys.readouterr().err
