"""The ruler's log: one JSON line per call, written when the call is over. Owns the file's shape."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One sound of the ruler, in ns. Where a burst carries it, its end is its start and its length:
    what was sent faster than real time is still heard in real time.
    """

    sound: str
    start_ns: int
    """First audible sample, by when its packet was due to leave and did, before any jitter."""
    end_ns: int
    """Last audible one."""
    wire_start_ns: int | None
    """First audible sample that passed the socket, jitter and losses included; None: none did."""
    cut: bool
    late_ms: float
    """How late the ruler itself was with the first or the last audible packet."""


class Heard(msgspec.Struct, kw_only=True):
    """One stretch of the caller's sound as it reached the socket, in ns."""

    start_ns: int
    end_ns: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One call."""

    name: str
    connected_ns: int
    said: list[Said]
    heard: list[Heard]
    packets_sent: int
    packets_lost: int


class Journal:
    """Appends entries to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, entry: Entry) -> None:
        """One whole line."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")


def read_journal(path: Path) -> dict[str, Entry]:
    """All entries so far, by name."""
    if not path.exists():
        return {}
    lines = path.read_bytes().split(b"\n")[:-1]
    entries = [msgspec.json.decode(line, type=Entry) for line in lines]
    return {entry.name: entry for entry in entries}
