"""The README is short and true: its links live, its commands exist, its walk names real
functions.
"""

from __future__ import annotations

import ast
import re

from tests.unit.house.source import ROOT, tree_of

README = (ROOT / "README.md").read_text()
STATIONS = (
    "plan", "intake", "admission", "switchboard", "call", "caller", "transport",
    "timeline", "measure", "commit", "verdict",
)  # fmt: skip
ROW = re.compile(
    r"\| (?P<station>\w+)[^|]*\| \[[^]]+\]\((?P<file>[^)]+)\)[^|]*\| `(?P<name>[\w.]+)"
)


def test_it_fits_on_a_few_screens() -> None:
    """150 lines are what somebody reads."""
    assert len(README.splitlines()) <= 150


def test_every_link_lives() -> None:
    """A relative link names a file of the checkout."""
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_walk_names_a_file_and_a_function_for_each_arrow() -> None:
    """plan → … → verdict, each station with the definition that does it."""
    rows = [match.groupdict() for match in ROW.finditer(README)]
    assert [row["station"] for row in rows] == list(STATIONS)
    for row in rows:
        assert row["name"] in _definitions(row["file"]), row


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    """`make demo` and `make test` are all that a newcomer types, and CI types the same."""
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        assert f"make {target}" in README
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def _definitions(file: str) -> set[str]:
    found = set()
    for node in tree_of(ROOT / file).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found.update(
                f"{node.name}.{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            )
    return found
