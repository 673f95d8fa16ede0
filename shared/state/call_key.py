"""The name of one attempt of a call."""

from __future__ import annotations

import msgspec


class CallKey(msgspec.Struct, frozen=True):
    """Run, index in the run, attempt. As text it is the arq job id and the lease's name."""

    run: str
    index: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.run}:{self.index}:{self.attempt}"

    @classmethod
    def parse(cls, text: str | bytes) -> CallKey:
        """The inverse of `str`."""
        if isinstance(text, bytes):
            text = text.decode()
        run, index, attempt = text.rsplit(":", 2)
        return cls(run, int(index), int(attempt))
