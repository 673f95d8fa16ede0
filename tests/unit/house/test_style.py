"""Sizes, names and habits that keep the tree readable."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.unit.house.source import ROOT, functions_of, modules, tree_of

FILE_LINES = 400
FUNCTION_LINES = 60
VAGUE = re.compile(r"(utils?|helpers?|manager|handler|common|misc|service)")


@pytest.mark.parametrize("name", modules())
def test_a_module_says_what_it_owns_and_stays_small(name: str) -> None:
    """One noun a file, with a docstring, within its budget of lines."""
    path = modules()[name]
    assert ast.get_docstring(tree_of(path)), f"{name} has no docstring"
    assert len(path.read_text().splitlines()) <= FILE_LINES
    assert not VAGUE.fullmatch(path.stem)
    for function in functions_of(path):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        assert lines <= FUNCTION_LINES, f"{name}.{function.name} has {lines} lines"


@pytest.mark.parametrize("name", modules())
def test_a_task_has_an_owner(name: str) -> None:
    """Tasks are made by a TaskGroup; a bare `create_task` would outlive whoever made it."""
    source = modules()[name].read_text()
    assert not re.search(r"asyncio\.(create_task|ensure_future)\(", source)
    assert not re.search(r"loop\.create_task\(", source)


def test_tests_wait_for_conditions_and_never_sleep() -> None:
    """Only the pause between two looks at a condition may be there, and it is short."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        if path.name != Path(__file__).name:
            assert not re.search(r"\b(asyncio|time)\.sleep\((?!0\)|0\.0)", path.read_text()), path


def test_every_test_says_its_behaviour_in_a_sentence() -> None:
    """Name and docstring together are the specification."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        for function in functions_of(path):
            if function.name.startswith("test_"):
                assert ast.get_docstring(function), f"{path}: {function.name}"
