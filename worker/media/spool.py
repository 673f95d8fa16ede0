"""A call's packets on disk while it runs. Owns the file's format; refuses to interpret a packet.

Records are appended and flushed about once a second, so a crash loses seconds. All integers are
little-endian: `S` u32 frame, i64 due_ns, i64 sent_ns, u8 level, u16 length, payload; `R` i64
arrived_ns, u16 sequence, u32 timestamp, u16 length, payload.
"""

from __future__ import annotations

import struct
from pathlib import Path

import msgspec

from shared.call import EndedReason, Step
from shared.errors import CallFailure
from worker.transports.transport import ReceivedPacket

MAGIC = b"PHONEBANK-SPOOL-1\n"
MAX_BYTES = 128 * 1024 * 1024
"""Twice what the longest call takes; the studio reads a spool whole."""
FLUSH_EVERY_NS = 1_000_000_000
_SENT = struct.Struct("<cIqqBH")
_RECEIVED = struct.Struct("<cqHIH")


class SentPacket(msgspec.Struct, frozen=True, gc=False):
    """One packet of the caller."""

    frame: int
    """Index in 20 ms frames from the first one; skipped frames leave a hole."""
    due_ns: int
    sent_ns: int
    payload: bytes
    level: int


class Spool(msgspec.Struct, frozen=True):
    """What a spool file holds, in the order of writing."""

    sent: list[SentPacket]
    received: list[ReceivedPacket]
    torn: bool
    """The file ends within a record: its writer died."""


class SpoolWriter:
    """Appends; `close` may be called again.

    A disk that refuses, and packets beyond the bound, are reported by `close` alone: what is
    missing from then on would be taken for silence.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._written = len(MAGIC)
        self._buffer = bytearray(MAGIC)
        self._flushed_ns = 0
        self._error: OSError | None = None
        self._file = path.open("wb", buffering=0)

    def sent(self, frame: int, due_ns: int, sent_ns: int, payload: bytes, level: int) -> None:
        """The caller's frame left at `sent_ns`."""
        head = _SENT.pack(b"S", frame, due_ns, sent_ns, level, len(payload))
        self._append(head, payload, sent_ns)

    def received(self, packet: ReceivedPacket) -> None:
        """A packet of the agent arrived."""
        head = _RECEIVED.pack(
            b"R", packet.arrived_ns, packet.sequence, packet.timestamp, len(packet.payload)
        )
        self._append(head, packet.payload, packet.arrived_ns)

    def close(self) -> None:
        """Flush and close; raises `CallFailure` (recording) where something is missing."""
        if self._file.closed:
            return
        self._flush()
        self._file.close()
        if self._error is not None:
            raise CallFailure(EndedReason.RECORDING_FAILED, Step.RECORDING, str(self._error))

    def _append(self, head: bytes, payload: bytes, at_ns: int) -> None:
        size = len(head) + len(payload)
        if self._file.closed or self._error is not None:
            return
        if self._written + size > self._max_bytes:
            self._error = OSError(f"the call's packets take more than {self._max_bytes} bytes")
            return
        self._written += size
        self._buffer += head
        self._buffer += payload
        if at_ns - self._flushed_ns >= FLUSH_EVERY_NS:
            self._flushed_ns = at_ns
            self._flush()

    def _flush(self) -> None:
        try:
            while self._buffer:
                del self._buffer[: self._file.write(self._buffer)]
        except OSError as error:
            self._error = error


def read_spool(path: Path) -> Spool:
    """All whole records; raises ValueError if it is no spool and OSError if it cannot be read."""
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"{path.name} is not a spool file")
    sent: list[SentPacket] = []
    received: list[ReceivedPacket] = []
    at = len(MAGIC)
    while at < len(data):
        kind = data[at : at + 1]
        head = {b"S": _SENT, b"R": _RECEIVED}.get(kind)
        if head is None or at + head.size > len(data):
            break
        fields = head.unpack_from(data, at)
        begin = at + head.size
        end = begin + fields[-1]
        if end > len(data):
            break
        payload = data[begin:end]
        if kind == b"S":
            _, frame, due_ns, sent_ns, level, _ = fields
            sent.append(SentPacket(frame, due_ns, sent_ns, payload, level))
        else:
            _, arrived_ns, sequence, timestamp, _ = fields
            received.append(ReceivedPacket(arrived_ns, sequence, timestamp, payload))
        at = end
    return Spool(sent, received, torn=at < len(data))
