"""What a plan's source may come to: sizes, numbers and scalars, the same for YAML and JSON.

Owns the limits and what an unquoted word means; refuses to know either grammar. Plain scalars
follow YAML 1.2 strictly: only `true` and `false` are booleans (`yes` and `no` are words), `007` and
`12:30` are text, `1e3` is a number.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from shared.errors import PlanError
from shared.json_path import Path, render

MAX_BYTES = 2_000_000
MAX_NODES = 50_000
MAX_DEPTH = 40
MAX_KEY_CHARS = 500

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class Source(msgspec.Struct, frozen=True):
    """`tree` holds only what JSON can; `lines` counts from 1 and is empty for JSON on one line."""

    tree: Any
    lines: dict[Path, int]


def plain_scalar(text: str, path: Path = (), line: int | None = None) -> Any:
    """The value of an unquoted YAML scalar. Raises PlanError for numbers that JSON cannot carry."""
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise source_refusal(
            "a number must be finite", path, line, right="put it in quotes if it is text"
        )
    if _INT.fullmatch(text):
        # Python refuses to convert very long digit strings; no such number is meant as one.
        return bounded_number(int(text) if len(text) < 25 else 1 << 64, path, line)
    if _FLOAT.fullmatch(text):
        return bounded_number(float(text), path, line)
    return text


def source_refusal(
    message: str, path: Path = (), line: int | None = None, right: str | None = None
) -> PlanError:
    """A PlanError with a line; the file is added where it is known."""
    return PlanError(message, path=render(path), line=line, right=right)


def bounded_number(number: float, path: Path, line: int | None) -> float:
    """The number, if JSON readers everywhere can carry it. Raises PlanError."""
    if isinstance(number, int) and not -(2**63) <= number < 2**63:
        raise source_refusal(
            "a whole number must fit 64 bits", path, line, right="put it in quotes"
        )
    if not math.isfinite(number):
        raise source_refusal("a number must be finite", path, line, right="put it in quotes")
    return number


def check_bounds(nodes: int, depth: int, path: Path, line: int | None) -> None:
    """Raises PlanError where a tree has grown too large or too deep."""
    if nodes > MAX_NODES:
        raise source_refusal(
            f"more than {MAX_NODES} values, aliases counted at each use", path, line
        )
    if depth > MAX_DEPTH:
        raise source_refusal(f"nested deeper than {MAX_DEPTH} levels", path[:4], line)


def checked_key(key: str, path: Path, line: int | None) -> str:
    """The key, unless it is too long to stand in a path that people read. Raises PlanError."""
    if len(key) > MAX_KEY_CHARS:
        sentence = f"a key of {len(key)} characters"
        raise source_refusal(sentence, path, line, right=f"at most {MAX_KEY_CHARS}")
    return key


def decoded_text(text: str | bytes) -> str:
    """The text of at most `MAX_BYTES` UTF-8 bytes, without a byte order mark. Raises PlanError."""
    try:
        raw = text.encode() if isinstance(text, str) else text
        words = raw.decode("utf-8-sig") if len(raw) <= MAX_BYTES else ""
    except UnicodeError as error:
        raise source_refusal(f"the text is not UTF-8 (at byte {_position(error)})") from error
    if len(raw) > MAX_BYTES:
        raise source_refusal(
            f"the text has {len(raw)} bytes",
            right=f"at most {MAX_BYTES}; put long lists into variables of fewer scenarios",
        )
    return words


def _position(error: UnicodeError) -> int:
    return error.start if isinstance(error, (UnicodeDecodeError, UnicodeEncodeError)) else 0
