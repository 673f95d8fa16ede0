"""What may come in at a media socket: datagrams of a size that a peer would send. Owns the bound.

aiortc ends the whole connection, with a traceback, over one that is empty or larger than libsrtp's
buffer, and anybody who knows the port can send those.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

LARGEST_BYTES: Final = 2000
"""Above every packet of a path with Ethernet's MTU, below libsrtp's 2048."""


class _Receiver(Protocol):
    """An asyncio datagram protocol, or aioice's for relays."""

    def datagram_received(self, data: bytes, addr: Any) -> None: ...


def guard(receiver: _Receiver) -> None:
    """From now on `receiver` sees nothing that is empty or too large."""
    pass_on = receiver.datagram_received

    def guarded(data: bytes, addr: Any) -> None:
        if 0 < len(data) <= LARGEST_BYTES:
            pass_on(data, addr)

    setattr(receiver, "datagram_received", guarded)  # noqa: B010 - a method, to the type checker
