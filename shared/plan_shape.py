"""Decodes a plain tree into the Structs of the plan language; refuses with the exact path.

msgspec checks each leaf; the walk above the leaves is ours because a plan's author needs the path
in *their* tree (a step is decoded from its verb), a suggestion for a misspelt key, and what would
be right.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from shared.errors import PlanError
from shared.json_path import Path, render

Reader = Callable[["Decoder", Any, Path], Any]

_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}
_FROM_MSGSPEC = re.compile(r"Expected `([^`]+)`(.*)", re.DOTALL)
_SHOWN_CHARS = 60
_KNOWN_AT_MOST = 200
_LISTED_AT_MOST = 30


def refusal(path: Path, message: str, right: str | None = None) -> PlanError:
    """A PlanError at a tuple path; file and line are added where the source is known."""
    return PlanError(message, path=render(path), right=right)


def suggestion(name: str, known: Iterable[str]) -> str:
    """What the author may have meant, else all that is known."""
    names = sorted(known)[:_KNOWN_AT_MOST]
    near = difflib.get_close_matches(name[:100], names, 1, 0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"known: {_joined(names)}" if names else "nothing is known here"


def _joined(names: list[str]) -> str:
    more = ", ..." if len(names) > _LISTED_AT_MOST else ""
    return ", ".join(name[:_SHOWN_CHARS] for name in names[:_LISTED_AT_MOST]) + more


def shown(value: Any) -> str:
    """A value as it may stand in a message: short, and a collection by its kind alone."""
    if isinstance(value, dict | list):
        kind = "mapping" if isinstance(value, dict) else "list"
        return f"a {kind}" if value else f"an empty {kind}"
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 3]}..."


class Decoder(msgspec.Struct, frozen=True):
    """`readers` decode types with a surface form of their own; `unsupported` are keys of designs to
    come, each with the sentence that refuses it.
    """

    readers: Mapping[Any, Reader]
    unsupported: Mapping[tuple[type, str], tuple[str, str]]

    def decode(self, kind: Any, value: Any, path: Path) -> Any:
        """`value` as a `kind`. Raises PlanError."""
        base, meta = _unwrapped(kind)
        if base in self.readers:
            return self.readers[base](self, value, path)
        origin = typing.get_origin(base)
        if origin is list:
            return self._list(base, meta, value, path)
        if origin is dict and isinstance(value, dict):
            return self._mapping(typing.get_args(base)[1], value, path)
        if origin in (typing.Union, types.UnionType):
            inner = [arm for arm in typing.get_args(base) if arm is not type(None)]
            if value is None and len(inner) < len(typing.get_args(base)):
                return None
            if len(inner) == 1:
                return self.decode(inner[0], value, path)
        if isinstance(base, type) and issubclass(base, msgspec.Struct):
            return self.struct(base, value, path)
        return _leaf(kind, value, path)

    def struct(
        self, cls: type, value: Any, path: Path, places: Mapping[str, Path] | None = None
    ) -> Any:
        """A Struct of a mapping. `places` are the paths of fields that stand elsewhere."""
        if not isinstance(value, dict):
            raise refusal(path, f"{shown(value)} stands where a mapping should", _outline(cls))
        kinds = _field_kinds(cls)
        self.check_keys(cls, value, path, kinds)
        fields: dict[str, Any] = {}
        for field in _fields(cls):
            if field.name in value:
                at = (places or {}).get(field.name, (*path, field.name))
                fields[field.name] = self.decode(kinds[field.name], value[field.name], at)
            elif field.required:
                raise refusal(path, f"{field.name} is missing", _outline(cls))
        return cls(**fields)

    def check_keys(
        self, cls: type, value: dict[str, Any], path: Path, known: Iterable[str]
    ) -> None:
        """Refuses keys that the Struct does not have."""
        for key in value:
            if (cls, key) in self.unsupported:
                sentence, right = self.unsupported[cls, key]
                raise refusal((*path, key), sentence, right)
        for key in value:
            if key not in known:
                raise refusal((*path, key), f"unknown key {shown(key)}", suggestion(key, known))

    def _list(self, base: Any, meta: list[Any], value: Any, path: Path) -> list[Any]:
        _leaf(Annotated[list[Any], *meta] if meta else list[Any], value, path)
        (item_kind,) = typing.get_args(base)
        return [self.decode(item_kind, item, (*path, at)) for at, item in enumerate(value)]

    def _mapping(self, item_kind: Any, value: dict[str, Any], path: Path) -> dict[str, Any]:
        return {key: self.decode(item_kind, item, (*path, key)) for key, item in value.items()}


def _leaf(kind: Any, value: Any, path: Path) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise refusal(
            path, f"{shown(value)} is not accepted here", _right(kind, value, str(error))
        ) from error


def _right(kind: Any, value: Any, sentence: str) -> str:
    base, meta = _unwrapped(kind)
    if typing.get_origin(base) is Literal:
        known = [str(choice) for choice in typing.get_args(base)]
        return suggestion(value, known) if isinstance(value, str) else f"one of {', '.join(known)}"
    match = _FROM_MSGSPEC.match(sentence.split(" - at `", 1)[0])
    if match is None:
        return sentence
    names = [_WORDS.get(name.strip(), name.strip()) for name in match[1].split("|")]
    bounds = match[2].split(", got `")[0]
    if " matching regex" in bounds:  # an example is read by more people
        bounds = f" such as {next((one.description for one in meta if one.description), bounds)}"
    quoted = not isinstance(value, (str, dict, list)) and "text" in names
    return f"expected {' or '.join(names)}{bounds}{': put it in quotes' if quoted else ''}"


def _outline(cls: type) -> str:
    fields = _fields(cls)
    required = [field.name for field in fields if field.required]
    optional = [field.name for field in fields if not field.required]
    parts = [f"needs {', '.join(required)}"] if required else []
    parts += [f"may have {', '.join(optional)}"] if optional else []
    return "; ".join(parts) or "an empty mapping: {}"


def _unwrapped(kind: Any) -> tuple[Any, list[Any]]:
    if typing.get_origin(kind) is Annotated:
        base, *meta = typing.get_args(kind)
        return base, meta
    return kind, []


@lru_cache(maxsize=64)
def _fields(cls: type) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(cls)


@lru_cache(maxsize=64)
def _field_kinds(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)
