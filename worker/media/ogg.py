"""The Ogg container, as far as an Opus file needs it (RFC 3533, RFC 7845). Knows no audio.

Two mono Opus streams lie side by side in each packet: mapping family 1 with 2 streams, none
coupled, so that they decode as left and right.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

SERIAL = 1
"""One stream in a file needs no random serial number, and equal calls make equal files."""
PACKETS_PER_PAGE = 50
MAX_SEGMENTS = 255
_FIRST, _LAST = 2, 4
_PAGE = struct.Struct("<4sBBqIIIB")
_CRC_AT = 22
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc(data: bytes) -> int:
    """Ogg's CRC-32: polynomial 0x04c11db7, most significant bit first, no inversions.

    zlib computes the same polynomial bit-reversed, so reversing the bits of every byte before and
    of the sum after makes it Ogg's, at C speed.
    """
    reflected = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(reflected.to_bytes(4, "little").translate(_REVERSED), "big")


def dual_mono_head(pre_skip: int) -> bytes:
    """`OpusHead` (RFC 7845, section 5.1) of two uncoupled mono streams, left and right."""
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 2, pre_skip, 48_000, 0, 1)
    return head + bytes([2, 0, 0, 1])


def tags(vendor: str) -> bytes:
    """`OpusTags` without comments."""
    name = vendor.encode()
    return b"OpusTags" + struct.pack("<I", len(name)) + name + struct.pack("<I", 0)


def self_delimited(packet: bytes) -> bytes:
    """A code 0 Opus packet with its frame's length inside (RFC 6716, appendix B)."""
    size = len(packet) - 1
    if size < 252:
        return packet[:1] + bytes([size]) + packet[1:]
    first = 252 + (size & 3)
    return packet[:1] + bytes([first, (size - first) >> 2]) + packet[1:]


class OggWriter:
    """Writes packets into pages; `close` ends the stream."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._page = 0
        self._packets = 0
        self._lacing = bytearray()
        self._body = bytearray()
        self._granule = 0

    def write(self, packet: bytes, granule: int) -> None:
        """Append a packet; `granule`: samples at 48 kHz that are complete with it."""
        lacing = bytes([255]) * (len(packet) // 255) + bytes([len(packet) % 255])
        if len(self._lacing) + len(lacing) > MAX_SEGMENTS or self._packets == PACKETS_PER_PAGE:
            self.flush()
        self._lacing += lacing
        self._body += packet
        self._packets += 1
        self._granule = granule

    def flush(self, *, last: bool = False) -> None:
        """End the page here; a header packet needs a page of its own."""
        kind = (_FIRST if self._page == 0 else 0) | (_LAST if last else 0)
        segments = len(self._lacing)
        head = _PAGE.pack(b"OggS", 0, kind, self._granule, SERIAL, self._page, 0, segments)
        page = bytearray(head + self._lacing + self._body)
        page[_CRC_AT : _CRC_AT + 4] = crc(bytes(page)).to_bytes(4, "little")
        self._file.write(page)
        self._page += 1
        self._packets = 0
        self._lacing.clear()
        self._body.clear()

    def close(self) -> None:
        """Write what is left and mark the end; the file stays open."""
        self.flush(last=True)
