"""Files that a plan names: found where the command runs, known by their SHA-256 everywhere else.

Owns the places in a plan that hold files and the name of an asset; refuses to upload
(`shared.storage`).
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.errors import PlanError
from shared.json_path import Path as TreePath
from shared.plan_shape import refusal, shown
from shared.surface import Surface

MAX_ASSET_BYTES = 50_000_000

_HASH = re.compile(r"sha256:([0-9a-f]{64})")


def asset_key(sha256: str) -> str:
    """The storage key of an asset."""
    return f"assets/{sha256}"


def asset_hash(clip: str) -> str | None:
    """The hex SHA-256 of `sha256:<hex>`, or None for anything else."""
    match = _HASH.fullmatch(clip)
    return match[1] if match else None


def collect(tree: dict[str, Any], base_dir: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """A copy of a plan's tree with `sha256:<hex>` for each file, and the files by hash.

    Relative paths start at `base_dir`, the plan's folder. Raises PlanError at the file's place.
    """
    changed = copy.deepcopy(tree)
    files: dict[str, Path] = {}
    known: dict[Path, str] = {}
    for holder, key, path in _places(changed):
        file = base_dir / holder[key]
        if file not in known:
            try:
                known[file] = _sha256(file, path)
            except PlanError as error:
                if isinstance(tree, Surface):
                    tree.locate(error)
                raise
            files[known[file]] = file
        holder[key] = f"sha256:{known[file]}"
    return changed, files


def _places(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, TreePath]]:
    """Every text that names a file: its holder, its key there, its path."""
    for at, scenario in _mappings(tree.get("scenarios")):
        for step_at, step in _mappings(scenario.get("script")):
            if isinstance(step.get("play"), str):
                yield step, "play", ("scenarios", at, "script", step_at, "play")
    for at, persona in _mappings(tree.get("personas")):
        noise = persona.get("noise")
        if isinstance(noise, dict) and isinstance(noise.get("clip"), str):
            yield noise, "clip", ("personas", at, "noise", "clip")


def _mappings(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for at, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, dict):
            yield at, item


def _sha256(file: Path, path: TreePath) -> str:
    try:
        if not file.is_file():
            raise refusal(
                path, f"there is no file {shown(str(file))}", "a path from the plan's folder"
            )
        if file.stat().st_size > MAX_ASSET_BYTES:
            raise refusal(
                path, f"{shown(str(file))} is too long", f"at most {MAX_ASSET_BYTES} bytes"
            )
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise refusal(path, f"{shown(str(file))} cannot be read: {error}") from error
