"""Changes to a plan's surface tree from the command line: `--set path=value`, `--only kind=name`.

Owns what a path may reach; refuses to judge the result (`shared.plan_text.read_tree` does). Both
change the tree that they are given and raise CommandError without having changed it.
"""

from __future__ import annotations

import json
from typing import Any

from shared.errors import CommandError, PlanError
from shared.json_path import Path, parse, render
from shared.plan_shape import shown, suggestion
from shared.source_bounds import plain_scalar
from shared.surface import Surface
from shared.yaml_source import read_source

_SECTIONS = {"agent": "agents", "scenario": "scenarios", "persona": "personas"}


def apply_set(tree: dict[str, Any], change: str) -> None:
    """Sets one value: `a.b[0].c=value`, the value a YAML scalar (or `[...]`, `{...}`, `"..."`).

    Mappings on the way are made where they are missing; list entries must be there.
    """
    text, equals, written = change.partition("=")
    if not equals or not text.strip():
        raise CommandError(f"--set {change!r}: write path=value, such as limits.call_s=60")
    try:
        path = parse(text.strip())
        value = _value(written.strip())
    except (ValueError, PlanError) as error:
        sentence = error.message if isinstance(error, PlanError) else str(error)
        raise CommandError(f"--set {change!r}: {sentence}") from error
    if not path:
        raise CommandError(f"--set {change!r}: the path names nothing")
    holder, left = _reached(tree, path, change)
    for part in reversed(left[1:]):
        value = {part: value}
    holder[left[0]] = value


def keep_only(tree: dict[str, Any], kind: str, *names: str) -> None:
    """Keeps the agents, scenarios or personas with these names. `kind` is singular."""
    section = _SECTIONS.get(kind)
    if section is None:
        raise CommandError(f"--only {kind}: {suggestion(kind, _SECTIONS)}")
    items = tree.get(section)
    found = [_name(item) for item in items] if isinstance(items, list) else []
    for name in names:
        if name not in found:
            known = suggestion(name, [item for item in found if item is not None])
            raise CommandError(f"--only {kind}={name}: the plan has no such {kind} ({known})")
    kept = [at for at, name in enumerate(found) if name in names]
    if isinstance(tree, Surface):
        tree.lines = _moved(tree.lines, section, kept)
    if isinstance(items, list):
        tree[section] = [items[at] for at in kept]


def _name(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None


def _moved(lines: dict[Path, int], section: str, kept: list[int]) -> dict[Path, int]:
    """Lines by the paths that hold once the other entries are gone."""
    places = {old: new for new, old in enumerate(kept)}
    moved: dict[Path, int] = {}
    for path, line in lines.items():
        if len(path) < 2 or path[0] != section:
            moved[path] = line
        elif isinstance(path[1], int) and path[1] in places:
            moved[(section, places[path[1]], *path[2:])] = line
    return moved


def _value(written: str) -> Any:
    if written[:1] in ("'", '"', "[", "{"):
        return read_source(written).tree
    return plain_scalar(written)


def _reached(tree: dict[str, Any], path: Path, change: str) -> tuple[Any, Path]:
    """The deepest collection on the way that exists, and the path from there."""
    holder: Any = tree
    for depth, part in enumerate(path):
        here = render(path[:depth])
        if isinstance(holder, list):
            if not isinstance(part, int) or part >= len(holder):
                raise CommandError(
                    f"--set {change!r}: {_part(part)} is not in {here}, a list of {len(holder)}"
                )
        elif not isinstance(holder, dict):
            raise CommandError(f"--set {change!r}: {here} is {shown(holder)}, not a mapping")
        elif not isinstance(part, str):
            raise CommandError(f"--set {change!r}: {here} is a mapping, not a list")
        elif holder.get(part) is None and depth < len(path) - 1:
            if any(isinstance(later, int) for later in path[depth + 1 :]):
                missing = render(path[: depth + 1])
                raise CommandError(f"--set {change!r}: there is no list at {missing}")
            return holder, path[depth:]
        if depth == len(path) - 1:
            return holder, path[depth:]
        holder = holder[part]
    raise AssertionError("unreachable: the last part returns")


def _part(part: str | int) -> str:
    return f"[{part}]" if isinstance(part, int) else json.dumps(part)
