"""Reads bounded JSON into a plain tree; refuses what is JSON and beyond the bounds.

Python's own parser for the values (escaped surrogate pairs, numbers), so that plans written by any
JSON encoder read the same; texts that it cannot read are left to `shared.yaml_source`.
"""

from __future__ import annotations

import json
from typing import Any

from shared.json_path import Path
from shared.source_bounds import bounded_number, check_bounds, checked_key, source_refusal

NOT_JSON = object()


def json_tree(text: str) -> Any:
    """The tree, or `NOT_JSON` when the YAML reader should have its say (it knows lines)."""
    try:
        tree = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse_word)
    except (ValueError, RecursionError):
        return NOT_JSON
    _check_tree(tree)
    return tree


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("duplicate key")
    return tree


def _refuse_word(word: str) -> None:
    raise ValueError(word)


def _check_tree(tree: Any) -> None:
    nodes = 0
    waiting: list[tuple[Any, Path]] = [(tree, ())]
    while waiting:
        value, path = waiting.pop()
        nodes += 1
        check_bounds(nodes, len(path), path, None)
        if isinstance(value, dict):
            waiting.extend((item, (*path, _sound_key(key, path))) for key, item in value.items())
        elif isinstance(value, list):
            waiting.extend((item, (*path, at)) for at, item in enumerate(value))
        elif isinstance(value, str):
            _sound_text(value, path)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            bounded_number(value, path, None)


def _sound_key(key: str, path: Path) -> str:
    return checked_key(_sound_text(key, path), path, None)


def _sound_text(text: str, path: Path) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise source_refusal("the text holds half of a surrogate pair", path) from None
    return text
