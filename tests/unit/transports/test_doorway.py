"""What may come in at a media socket."""

from __future__ import annotations

from typing import Any

from worker.transports.doorway import LARGEST_BYTES, guard


class Receiver:
    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def datagram_received(self, data: bytes, _addr: Any) -> None:
        self.seen.append(data)


def test_only_datagrams_of_a_peers_size_come_in() -> None:
    """Empty ones and giants are dropped before anything looks at them."""
    receiver = Receiver()
    guard(receiver)
    for size in (0, 1, LARGEST_BYTES, LARGEST_BYTES + 1, 60_000):
        receiver.datagram_received(b"x" * size, ("127.0.0.1", 9))
    assert [len(data) for data in receiver.seen] == [1, LARGEST_BYTES]
