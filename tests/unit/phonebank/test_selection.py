"""Which part of a plan runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from phonebank.plan_file import Changes, ready_plan
from phonebank.selection import Selection, selection_from, selection_of_failed
from shared.call import Verdict
from shared.errors import CommandError, PlanError
from shared.plan import RunPlan
from tests.unit.phonebank.calls import a_call

PLAN = """\
version: 1
name: two-by-two
agents:
  - {name: one, smallwebrtc: {offer_url: "http://127.0.0.1:7/o", headers: {Auth: "${TOKEN}"}}}
personas: [{name: calm}, {name: hasty}]
scenarios:
  - {name: book, script: [{say: "Hi"}]}
  - {name: cancel, script: [{play: beep.wav}]}
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    """A plan of four calls that names a sound file."""
    (tmp_path / "beep.wav").write_bytes(b"RIFF")
    file = tmp_path / "plan.yaml"
    file.write_text(PLAN)
    return file


def names(plan: RunPlan) -> tuple[list[str], list[str]]:
    """Scenarios and personas by name."""
    return [part.name for part in plan.scenarios], [part.name for part in plan.personas]


def test_only_keeps_what_it_names(plan_file: Path) -> None:
    """Nouns narrow each other, the same noun twice widens."""
    only = selection_from(["scenario=book", "persona=calm", "persona=hasty"])
    assert names(ready_plan(plan_file, Changes(only=only)).plan) == (["book"], ["calm", "hasty"])


@pytest.mark.parametrize("word", ["scenario", "scenario=", "call=3", "=book"])
def test_a_word_that_is_no_selection_is_refused(word: str) -> None:
    """The sentence says what would be right."""
    with pytest.raises(CommandError, match="expected scenario=NAME"):
        selection_from([word])


def test_a_name_that_the_plan_lacks_is_refused(plan_file: Path) -> None:
    """An empty run must not pass for a green one."""
    with pytest.raises(CommandError, match="bok"):
        ready_plan(plan_file, Changes(only=selection_from(["scenario=bok"])))


def test_a_plan_is_submitted_with_hashes_and_names_its_secrets(plan_file: Path) -> None:
    """No path of this machine travels, and only the secrets that are used are looked up."""
    ready = ready_plan(plan_file)
    (sha256,) = ready.assets
    assert f'"play":"sha256:{sha256}"'.encode() in ready.text
    assert ready.secrets == {"TOKEN"}


def test_set_changes_one_value_and_is_validated(plan_file: Path) -> None:
    """A change is judged like the file itself, with its place."""
    assert ready_plan(plan_file, Changes(set_words=("repeat=3",))).plan.repeat == 3
    with pytest.raises(PlanError, match=r"plan\.yaml.*\$\.repeat"):
        ready_plan(plan_file, Changes(set_words=("repeat=many",)))


def test_last_failed_keeps_the_smallest_matrix_that_holds_the_failures(plan_file: Path) -> None:
    """One failed call: its agent, its scenario, its persona."""
    plan = ready_plan(plan_file).plan
    rows = [a_call(index, agent="one", scenario="book", persona="calm") for index in range(3)]
    rows.append(a_call(3, Verdict.FAIL, agent="one", scenario="cancel", persona="hasty"))
    selection = selection_of_failed(rows, plan, planned=4)
    changed = ready_plan(plan_file, Changes(failed=lambda _: selection)).plan
    assert names(changed) == (["cancel"], ["hasty"])


def test_last_failed_runs_calls_that_never_ran(plan_file: Path) -> None:
    """A cancelled run passed nothing of what it did not call."""
    plan = ready_plan(plan_file).plan
    assert selection_of_failed([], plan, planned=4).names["scenario"] == {"book", "cancel"}


def test_last_failed_is_empty_when_everything_passed(plan_file: Path) -> None:
    """Then there is nothing to run again."""
    plan = ready_plan(plan_file).plan
    assert selection_of_failed(map(a_call, range(4)), plan, planned=4) == Selection()


def test_last_failed_forgets_names_that_the_plan_lost(plan_file: Path) -> None:
    """A scenario that was renamed since cannot run again."""
    plan = ready_plan(plan_file).plan
    rows = [a_call(0, Verdict.FAIL, agent="one", scenario="gone", persona="calm")]
    assert selection_of_failed(rows, plan, planned=1) == Selection()
