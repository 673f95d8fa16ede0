"""Running again what did not pass."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from phonebank.cli import main
from phonebank.last_failed import LastFailed, NothingFailedError
from phonebank.plan_file import Changes, ready_plan
from phonebank.selection import Selection
from shared.call import Verdict
from shared.errors import CommandError
from shared.plan_text import read_plan
from shared.result import CallResult, RunCounts
from tests.unit.phonebank.calls import a_call, a_run

PLAN = """\
version: 1
name: mine
agents: [{name: booking, smallwebrtc: {offer_url: "http://127.0.0.1:7/o"}}]
personas: [{name: calm}]
scenarios:
  - {name: table-for-two, script: [{say: "Hi"}]}
  - {name: change, script: [{say: "Hi"}]}
"""


def results_in(folder: Path, *rows: CallResult) -> None:
    """A folder with a run of these calls."""
    folder.mkdir(parents=True)
    result = a_run(name="mine", counts=RunCounts(planned=len(rows)))
    (folder / "run.json").write_bytes(msgspec.json.encode(result))
    (folder / "calls.jsonl").write_bytes(msgspec.json.Encoder().encode_lines(rows))


def test_the_failed_scenario_of_the_newest_results_is_selected(tmp_path: Path) -> None:
    """Found in the folders of earlier runs."""
    results_in(tmp_path / "one", a_call(0), a_call(1, Verdict.FAIL, scenario="change"))
    assert LastFailed(tmp_path)(read_plan(PLAN)).names["scenario"] == {"change"}


def test_only_narrows_what_failed(tmp_path: Path) -> None:
    """Both options together run what failed of what was asked for."""
    one, two = a_call(0, Verdict.FAIL), a_call(1, Verdict.FAIL, scenario="change")
    results_in(tmp_path / "one", one, two)
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN)
    only = Selection(names={"scenario": {"change"}})
    ready = ready_plan(plan, Changes(only=only, failed=LastFailed(tmp_path)))
    assert [scenario.name for scenario in ready.plan.scenarios] == ["change"]


def test_without_results_there_is_nothing_to_say_what_failed(tmp_path: Path) -> None:
    """The sentence names plan and folder."""
    with pytest.raises(CommandError, match=f"mine in {tmp_path}"):
        LastFailed(tmp_path)(read_plan(PLAN))


def test_when_everything_passed_nothing_runs_and_that_is_fine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 0 and a sentence; no fleet is started."""
    results_in(tmp_path / "out", a_call(0), a_call(1, scenario="change"))
    with pytest.raises(NothingFailedError):
        LastFailed(tmp_path)(read_plan(PLAN))
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN)
    assert main(["run", str(plan), "--out", str(tmp_path / "out"), "--last-failed"]) == 0
    assert "nothing to run again" in capsys.readouterr().err
