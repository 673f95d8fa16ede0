"""A plan as its author wrote it: the tree, and where each of its places stands in which file.

Owns the way from a refusal's path to a line; refuses to judge the tree (`shared.plan_text`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import PlanError
from shared.json_path import Path, parse


class Surface(dict[str, Any]):
    """A plan's tree. `lines` holds lines of paths, from 1; empty for JSON on one line."""

    def __init__(
        self, tree: Mapping[str, Any], lines: Mapping[Path, int], file: str | None
    ) -> None:
        super().__init__(tree)
        self.lines = dict(lines)
        self.file = file

    def locate(self, error: PlanError) -> None:
        """Adds file and line to a refusal of this tree, where it has none."""
        error.file = error.file or self.file
        error.line = error.line or self._line(error.path)

    def _line(self, path: str) -> int | None:
        """Line of a path, or of the nearest place above it (an alias, a missing key)."""
        parts = parse(path)
        while parts and parts not in self.lines:
            parts = parts[:-1]
        return self.lines.get(parts)
