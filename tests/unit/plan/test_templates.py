"""Variables fill texts, once and as written."""

from __future__ import annotations

import pytest

from shared.templates import fill, is_malformed, variables_in


def test_variables_are_filled_as_written() -> None:
    """Spaces inside the braces do not matter; a value's own braces are left alone."""
    variables: dict[str, str | int | float] = {"a": "two {{b}}", "b": 7, "c": "0049"}
    assert fill("{{a}} {{ b }} {{c}}", variables) == "two {{b}} 7 0049"
    assert variables_in("{{a}} {{ b }} x") == {"a", "b"}


def test_an_unknown_name_is_an_error() -> None:
    """Nothing is left standing silently."""
    with pytest.raises(KeyError):
        fill("{{a}}", {})


@pytest.mark.parametrize("text", ["{{", "}}", "{{a b}}", "{{1}}", "{{a}", "{{a}} }}", "{{{{a}}}}"])
def test_malformed_places_are_seen(text: str) -> None:
    """Expressions and open braces are not templates."""
    assert is_malformed(text)


def test_single_braces_are_text() -> None:
    """Only doubled braces mean anything."""
    assert not is_malformed("a {b} c {{d}}")
