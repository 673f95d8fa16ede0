"""RTP from the socket to its receiver at once, past aioice's queue and aiortc's receiving task.

Both cost a turn of the loop for each packet. Owns when that way may be taken; knows of aiortc only
what `worker.transports.peer` hands over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pylibsrtp


def shortcut(
    *,
    keys: Callable[[], pylibsrtp.Session | None],
    queue: asyncio.Queue[Any],
    handle: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[[bytes], bool]:
    """A function that takes a datagram, or returns False where it must go the long way.

    `keys` gives what decrypts, None before the handshake; `handle` takes decrypted RTP. Left to the
    long way are RTCP, what comes before the keys, and what must stay behind a packet in `queue`.
    What cannot be decrypted is dropped, as aiortc does.
    """

    def take(data: bytes) -> bool:
        session = keys()
        if session is None or 192 <= data[1] <= 223 or not queue.empty():  # RFC 5761: RTCP
            return False
        try:
            plain = session.unprotect(data)
        except (pylibsrtp.Error, ValueError):
            return True
        handling = handle(plain, arrival_time_ms=0)  # the time is for video alone
        try:
            handling.send(None)
        except StopIteration:  # audio waits for nothing
            return True
        handling.close()
        raise RuntimeError("aiortc waits where it never did")

    return take
