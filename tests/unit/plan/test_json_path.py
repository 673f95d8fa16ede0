"""Paths read and write the same way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.json_path import parse, render


def test_paths_look_like_json_paths() -> None:
    """Words are bare, everything else is quoted."""
    path = ("scenarios", 1, "script", 3, "say")
    assert render(path) == "$.scenarios[1].script[3].say"
    assert render(("labels", "a b")) == '$.labels["a b"]'
    assert parse("scenarios[1].script[3].say") == path
    assert parse("$.scenarios[1].script[3].say") == path


@given(st.lists(st.text() | st.integers(0, 999), max_size=6))
def test_every_path_comes_back(parts: list[str | int]) -> None:
    """Rendering loses nothing, whatever the keys hold."""
    assert parse(render(tuple(parts))) == tuple(parts)


@pytest.mark.parametrize(
    "text", ["a..b", "a[", "a[x]", "a.[0]b", "[-1]", "a b", "a[0]b", ".", "$a"]
)
def test_what_is_no_path_is_refused(text: str) -> None:
    """No wildcards, no guessing."""
    with pytest.raises(ValueError, match="is not a path"):
        parse(text)
