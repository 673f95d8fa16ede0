"""The Lua scripts beside this file, each with one typed function. Owns loading and calling them.

A script is sent as names from `shared.state.keys`, then `places.lua` (what several scripts do), for
admission `lanes.lua`, then its own text. All time is Redis TIME; no script has KEYS.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from shared.errors import StateError
from shared.state.keys import lua_names
from shared.state.redis import OUTAGE

_FOLDER = Path(__file__).parent

_ALSO = {"admit": ("lanes",)}

Argument = str | bytes | float


class Script:
    """One `<name>.lua`, called by its hash; its text goes over the wire once per server."""

    def __init__(self, name: str) -> None:
        self.name = name
        files = ("places", *_ALSO.get(name, ()), name)
        parts = [(_FOLDER / f"{file}.lua").read_text("utf-8") for file in files]
        self.text = "\n".join((lua_names(), *parts))
        self.sha1 = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, redis: Redis, *arguments: Argument) -> Any:
        """Run it; raises `StateError` when Redis is away or the script fails."""
        client = cast("Any", redis)
        try:
            try:
                return await client.evalsha(self.sha1, 0, *arguments)
            except NoScriptError:
                return await client.eval(self.text, 0, *arguments)
        except OUTAGE as error:
            raise StateError(f"{self.name}: {error}") from error


@cache
def script(name: str) -> Script:
    """The script of that name, read once."""
    return Script(name)
