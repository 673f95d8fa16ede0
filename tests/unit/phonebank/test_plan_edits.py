"""--set and --only change a tree precisely or say why they cannot."""

from __future__ import annotations

import copy

import pytest

from phonebank.plan_edits import apply_set, keep_only
from shared.errors import CommandError, PlanError
from shared.plan_text import LOCAL_FILE, read_tree, surface
from tests.unit.plan.plans import BOOKING, minimal


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("repeat=3", 3),
        ("name=nightly", "nightly"),
        ('name="12"', "12"),
        ("name=a=b", "a=b"),
        ("name=x: y # z", "x: y # z"),
        ("name=yes", "yes"),
        ("repeat= 4 ", 4),
        ("repeat=null", None),
        ("agents=[]", []),
    ],
)
def test_values_are_yaml_scalars(change: str, value: object) -> None:
    """As they would read in the file, without surprises from colons."""
    tree = minimal()
    apply_set(tree, change)
    assert tree[change.partition("=")[0]] == value


def test_paths_go_through_lists_and_make_missing_mappings() -> None:
    """A key that the plan leaves out can still be set."""
    tree = minimal()
    apply_set(tree, "scenarios[0].script[0].say=good day")
    apply_set(tree, "$.limits.call_s=60")
    apply_set(tree, 'labels["a b"]=c')
    apply_set(tree, "personas[0].noise={kind: hum}")
    plan = read_tree(tree)
    assert plan.limits.call_s == 60
    assert plan.labels == {"a b": "c"}
    assert plan.personas[0].noise is not None


@pytest.mark.parametrize(
    "change",
    [
        "",
        "repeat",
        "=3",
        "$=3",
        "a..b=1",
        "agents[1].name=x",
        "agents.name=x",
        "name[0]=x",
        "name.x=1",
        "repeat=.nan",
        "name='open",
        "limits[0]=1",
        "noises[0].a=1",
        "x.y[0]=1",
    ],
)
def test_wrong_changes_are_refused_and_change_nothing(change: str) -> None:
    """The command is wrong, not the plan."""
    tree = minimal()
    before = copy.deepcopy(tree)
    with pytest.raises(CommandError, match="--set"):
        apply_set(tree, change)
    assert tree == before


def test_keep_only_drops_the_others() -> None:
    """By name, several too; lines follow."""
    tree = surface(BOOKING)
    keep_only(tree, "scenario", "odds-and-ends")
    keep_only(tree, "persona", "calm", "in-a-cafe")
    plan = read_tree(tree, where=LOCAL_FILE)
    assert [scenario.name for scenario in plan.scenarios] == ["odds-and-ends"]
    assert len(plan.personas) == 2
    tree["scenarios"][0]["script"][0] = {"sayy": "x"}
    with pytest.raises(PlanError) as caught:
        read_tree(tree, where=LOCAL_FILE)
    assert caught.value.line == 1 + BOOKING[: BOOKING.index("say_exactly")].count("\n")


@pytest.mark.parametrize(("kind", "name"), [("scenario", "table-for-twoo"), ("scenarios", "x")])
def test_unknown_names_are_refused(kind: str, name: str) -> None:
    """With a suggestion."""
    with pytest.raises(CommandError, match="did you mean"):
        keep_only(surface(BOOKING), kind, name)
    with pytest.raises(CommandError):
        keep_only({"scenarios": "x"}, "scenario", "a")
