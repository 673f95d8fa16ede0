"""Places in a plan's tree as JSON paths (`$.scenarios[1].script[3].say`); refuses wildcards.

A `Path` is the tuple form, the text form is what people read and type.
"""

from __future__ import annotations

import json
import re

Path = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PART = re.compile(
    r"""\.?(?P<key>[A-Za-z_][A-Za-z0-9_-]*)
      | \[(?P<index>[0-9]{1,9})\]
      | \[(?P<quoted>"(?:[^"\\]|\\.)*")\]""",
    re.VERBOSE,
)


def render(path: Path) -> str:
    """The text form, from `$`; keys that are not plain words are quoted as JSON strings."""
    text = "$"
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}"
        else:
            text += f"[{json.dumps(part)}]"
    return text


def parse(text: str) -> Path:
    """The tuple form of `a.b[0].c`, with or without the leading `$.`; raises ValueError."""
    rest = text.removeprefix("$")
    at = 0
    parts: list[str | int] = []
    while at < len(rest):
        match = _PART.match(rest, at)
        bare = at == 0 and rest is text
        if match is None or (match["key"] and not bare and rest[at] != "."):
            raise ValueError(f"{text!r} is not a path at {rest[at:]!r}")
        if match["key"] is not None:
            parts.append(match["key"])
        elif match["index"] is not None:
            parts.append(int(match["index"]))
        else:
            parts.append(str(json.loads(match["quoted"])))
        at = match.end()
    return tuple(parts)
