"""The seam between the measured process and the kinds of caller it can hold. Owns the contract."""

from __future__ import annotations

from typing import Protocol


class Callers(Protocol):
    """Callers of one kind, all in one process."""

    async def hold(self, index: int) -> bool:
        """Hold one call until `hang_up`; whether it lasted so long."""

    def hang_up(self) -> None:
        """End all calls."""

    def received(self, from_ns: int, until_ns: int) -> int:
        """Packets that came in [from_ns, until_ns) of `worker.media.clock`; ask when all ended."""
