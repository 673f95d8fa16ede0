"""A plan from the user's disk, made ready to be submitted. Owns the way from file to JSON text.

The submitted text is the plan's surface form with hashes for the sound files that it names; the
files travel to object storage on their own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from phonebank.plan_edits import apply_set
from phonebank.selection import Selection
from shared.assets import asset_key, collect
from shared.errors import CommandError, PlanError
from shared.plan import RunPlan
from shared.plan_text import LOCAL_FILE, SUBMITTED, Surface, read_plan, read_tree, surface
from shared.secrets import names_in
from shared.storage import Storage


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks of a plan beyond its file."""

    set_words: tuple[str, ...] = ()
    """`path=value` words, applied first."""
    only: Selection = Selection()
    failed: Callable[[RunPlan], Selection] | None = None
    """Given what `only` left of the plan, the part of it to run again; None runs all."""


class ReadyPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that can be submitted."""

    plan: RunPlan
    text: bytes
    """JSON of the surface form."""
    assets: dict[str, Path]
    """Files by their SHA-256 in hex."""
    secrets: set[str]
    """Names of the secrets that it refers to."""


def ready_plan(file: Path, changes: Changes = Changes()) -> ReadyPlan:  # noqa: B008 - frozen
    """Read, change, validate and hash. Raises `PlanError` or `CommandError`."""
    tree = surface(_source_of(file), str(file))
    for word in changes.set_words:
        apply_set(tree, word)
    read_tree(tree, where=LOCAL_FILE)  # what is dropped below must be right, too
    changes.only.apply(tree)
    if changes.failed is not None:
        changes.failed(read_tree(tree, where=LOCAL_FILE)).apply(tree)
    read_tree(tree, where=LOCAL_FILE)
    hashed, assets = _collected(tree, file)
    text = msgspec.json.encode(hashed)
    submitted = read_plan(text, file=str(file), where=SUBMITTED)
    return ReadyPlan(plan=submitted, text=text, assets=assets, secrets=names_in(hashed))


async def upload_assets(storage: Storage, assets: dict[str, Path]) -> None:
    """Bring the files that storage does not hold yet. Raises `StorageError`."""
    for sha256, file in assets.items():
        key = asset_key(sha256)
        if not await storage.exists(key):
            await storage.put(key, file, "application/octet-stream")


def _source_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror or error}") from None


def _collected(tree: Surface, file: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    try:
        return collect(tree, file.parent)
    except PlanError as error:
        error.file = error.file or str(file)
        raise
