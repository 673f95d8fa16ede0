"""Fills `{{variable}}` in the texts of a scenario; refuses expressions, filters and defaults.

Values are put in as written in the plan: quote what must keep its form (`"1.50"`, `"0049"`). What a
value holds is never looked into again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_PLACE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]{0,63})\s*\}\}")


def variables_in(text: str) -> set[str]:
    """Names that the text asks for."""
    return set(_PLACE.findall(text))


def is_malformed(text: str) -> bool:
    """Whether a `{{` or `}}` is left that belongs to no well-formed place."""
    rest = _PLACE.sub("", text)
    return "{{" in rest or "}}" in rest


def fill(text: str, variables: Mapping[str, str | int | float]) -> str:
    """The text with every `{{name}}` replaced. Raises KeyError for a name that is not given."""
    return _PLACE.sub(lambda place: str(variables[place[1]]), text)
