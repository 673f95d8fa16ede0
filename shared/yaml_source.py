"""Reads bounded YAML or JSON into a plain tree with the line of every path.

Refuses what could hurt or surprise: more than 2 MB, 50 000 nodes (aliases counted as often as they
are used) or 40 levels, tags, merge keys, several documents, duplicate keys, numbers that JSON
cannot carry. Plain scalars follow YAML 1.2 strictly: only `true` and `false` are booleans (`yes`
and `no` are words), `007` and `12:30` are text, `1e3` is a number.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import yaml

from shared.errors import PlanError
from shared.json_path import Path
from shared.json_source import NOT_JSON, json_tree
from shared.source_bounds import (
    Source,
    check_bounds,
    checked_key,
    decoded_text,
    plain_scalar,
    source_refusal,
)

_STR_TAG = "tag:yaml.org,2002:str"
# libyaml's parser where the wheel has it: ten times faster, and both are read event by event, so
# that a bound stops them before the text is through.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_source(text: str | bytes) -> Source:
    """The tree of a YAML or JSON text. Raises PlanError with path and line, without a file."""
    words = decoded_text(text)
    if words.lstrip()[:1] in ("{", "["):
        tree = json_tree(words)
        if tree is not NOT_JSON:
            return Source(tree, _lines_of_json(words))
    return _compose(words)


def _lines_of_json(text: str) -> dict[Path, int]:
    if "\n" not in text.strip():
        return {}
    try:
        return _compose(text).lines
    except PlanError:
        return {}


class _Anchored(msgspec.Struct, frozen=True):
    value: Any
    nodes: int
    height: int


class _Frame(msgspec.Struct):
    """A collection that is being filled. `height`: levels below it, aliases included."""

    value: dict[str, Any] | list[Any]
    path: Path
    anchor: str | None
    nodes_before: int
    height: int = 0
    key: str | None = None


class _Composer:
    """Builds the tree from parser events with a stack of its own: no depth can exhaust Python's."""

    def __init__(self) -> None:
        self.root: Any = None
        self.lines: dict[Path, int] = {}
        self.documents = 0
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0

    def take(self, event: Any) -> None:
        line: int = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise source_refusal(
                    "a second document begins here", line=line, right="one plan a file"
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor), line)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event, line)

    def _place(self, line: int) -> Path:
        """Where the next value goes; keys have been taken before. Records its line."""
        if not self._frames:
            path: Path = ()
        else:
            top = self._frames[-1]
            part = len(top.value) if isinstance(top.value, list) else top.key
            if part is None:
                raise source_refusal("a key must be a word", top.path, line, right="name: value")
            path = (*top.path, part)
        self.lines.setdefault(path, line)
        self._nodes += 1
        check_bounds(self._nodes, len(path), path, line)
        return path

    def _put(self, value: Any, height: int) -> None:
        if not self._frames:
            self.root = value
            return
        top = self._frames[-1]
        top.height = max(top.height, height + 1)
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.key is not None:
            top.value[top.key] = value
            top.key = None

    def _open(self, event: Any, line: int) -> None:
        path = self._place(line)
        self._refuse_tag(event, path, line)
        value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._frames.append(_Frame(value, path, event.anchor, self._nodes - 1))

    def _close(self) -> None:
        frame = self._frames.pop()
        if frame.anchor is not None:
            nodes = self._nodes - frame.nodes_before
            self._anchors[frame.anchor] = _Anchored(frame.value, nodes, frame.height)
        self._put(frame.value, frame.height)

    def _scalar(self, event: Any, line: int) -> None:
        top = self._frames[-1] if self._frames else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._key(top, event, line)
            return
        path = self._place(line)
        self._refuse_tag(event, path, line)
        text: str = event.value
        plain = event.style in (None, "") and event.tag is None
        value = plain_scalar(text, path, line) if plain else text
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, 1, 0)
        self._put(value, 0)

    def _key(self, top: _Frame, event: Any, line: int) -> None:
        key = checked_key(event.value, top.path, line)
        path = (*top.path, key)
        self._refuse_tag(event, path, line)
        if key == "<<" and event.style in (None, ""):
            raise source_refusal(
                "merge keys are not supported", path, line, right="an alias can stand for a value"
            )
        if isinstance(top.value, dict) and key in top.value:
            raise source_refusal(
                f"the key {key!r} stands here twice (first on line {self.lines.get(path)})",
                path,
                line,
            )
        self.lines[path] = line
        top.key = key

    def _alias(self, name: str, line: int) -> None:
        path = self._place(line)
        anchored = self._anchors.get(name)
        if anchored is None:
            raise source_refusal(
                f"the alias *{name} points at nothing that is complete", path, line
            )
        self._nodes += anchored.nodes - 1
        check_bounds(self._nodes, len(path) + anchored.height, path, line)
        self._put(copy.deepcopy(anchored.value), anchored.height)

    @staticmethod
    def _refuse_tag(event: Any, path: Path, line: int) -> None:
        if event.tag not in (None, "!", _STR_TAG):
            raise source_refusal(
                f"the tag {event.tag} is not supported", path, line, right="no tags"
            )


def _compose(text: str) -> Source:
    composer = _Composer()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise source_refusal(
            f"not readable as YAML: {error.problem or error.context}",
            line=None if mark is None else mark.line + 1,
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        sentence = str(error).splitlines()[0][:200]
        raise source_refusal(f"not readable as YAML: {sentence}") from error
    if composer.documents == 0:
        raise source_refusal(
            "the text is empty", right="version: 1, name, agents, scenarios, personas"
        )
    return Source(composer.root, composer.lines)
