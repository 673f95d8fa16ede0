"""The other side of a bench, `python -m worker.bench.load_agent`: an agent that costs next to none.

Answers offers over HTTP on 127.0.0.1, sends speech that was encoded before, each call at a phase of
its own, and drops what it receives before decrypting it; of each packet it keeps when the kernel
saw it and its RTP time. Owns the agent's half of a bench; refuses to be an example of an agent.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import random
import struct
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aioice.ice
import msgspec
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)

from shared.lifeline import watch_parent
from worker.bench.lateness import FRAME_NS, Lateness, Passed, lateness
from worker.bench.speech import Speech, read_speech
from worker.cores import keep_to

LOOPBACK: Final = "127.0.0.1"
SLOTS: Final = 20
SLOT_S: Final = FRAME_NS / 1e9 / SLOTS
FRAME_SAMPLES: Final = 960
MAX_REQUEST_BYTES: Final = 1_000_000
REQUEST_S: Final = 30.0
MAX_KEPT: Final = 200_000
"""Packets of one call whose times are kept: more than an hour."""
_SIOCGSTAMPNS: Final = 0x8907
_TIMESPEC: Final = struct.Struct("@ll")
_HEADER: Final = struct.Struct("!BBHII")
_SEED: Final = 7


class State(msgspec.Struct, frozen=True):
    """The answer to /state."""

    sending: int
    """Calls from which packets have come."""


class Asked(msgspec.Struct, frozen=True):
    """The body of /lateness: which window, on the wall clock."""

    callers: int
    from_ns: int
    until_ns: int


class _Silence(MediaStreamTrack):
    """Stands where aiortc wants a track; `_Callee.send` does the sending."""

    kind = "audio"

    async def recv(self) -> Any:
        """Never gives a frame."""
        await asyncio.Event().wait()


class _Callee:
    """One call."""

    def __init__(self, connection: RTCPeerConnection, speech: Speech, at: int) -> None:
        self._connection = connection
        self._packets = speech.packets
        self._at = at
        self._sequence = at & 0x7FFF
        self._timestamp = at
        self._protect: Callable[[bytes], bytes] | None = None
        self._pair: Any = None
        self._at_ns = array("q")
        self._timestamps = array("q")
        transceiver: Any = connection.getTransceivers()[0]
        self._dtls = transceiver.sender.transport
        self._ssrc = transceiver.sender._ssrc  # noqa: SLF001 - what the answer says
        self._payload_type = transceiver._codecs[0].payloadType  # noqa: SLF001 - same
        for protocol in self._dtls.transport._connection._protocols:  # noqa: SLF001 - below
            self._listen(protocol)

    @property
    def passed(self) -> Passed:
        """What came from the caller."""
        return Passed(self._at_ns, self._timestamps)

    def connected(self) -> None:
        """From now on packets can be sent."""
        self._protect = self._dtls._tx_srtp.protect  # noqa: SLF001 - spares aiortc's sender
        self._pair = self._dtls.transport._connection._nominated[1]  # noqa: SLF001 - same

    def send(self) -> None:
        """The packet of this frame."""
        if self._protect is None or self._pair.protocol.transport.is_closing():
            return
        self._at = (self._at + 1) % len(self._packets)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        header = _HEADER.pack(0x80, self._payload_type, self._sequence, self._timestamp, self._ssrc)
        packet = self._protect(header + self._packets[self._at])
        self._pair.protocol.transport.sendto(packet, self._pair.remote_addr)

    def _listen(self, protocol: Any) -> None:
        """Take audio away before aiortc sees it; STUN and DTLS pass."""
        stamp = _kernel_stamp(protocol.transport.get_extra_info("socket").fileno())
        pass_on = protocol.datagram_received

        def received(data: bytes, address: Any) -> None:
            if data[0] >> 6 != 2:  # RFC 7983
                pass_on(data, address)
            elif not 192 <= data[1] <= 223 and len(self._at_ns) < MAX_KEPT:  # RFC 5761: no RTCP
                self._at_ns.append(stamp())
                self._timestamps.append(int.from_bytes(data[4:8], "big"))

        protocol.datagram_received = received


def _kernel_stamp(descriptor: int) -> Callable[[], int]:
    """A function that says when the packet just read passed the socket, on the wall clock."""
    buffer = bytearray(_TIMESPEC.size)

    def stamp() -> int:
        try:
            fcntl.ioctl(descriptor, _SIOCGSTAMPNS, buffer)
        except OSError:
            return time.time_ns()
        seconds, nanoseconds = _TIMESPEC.unpack(buffer)
        return int(seconds * 1_000_000_000 + nanoseconds)

    stamp()  # the first request turns stamping on
    return stamp


class LoadAgent:
    """All calls of one bench window."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech
        self._chance = random.Random(_SEED)
        self._callees: list[_Callee] = []
        self._slots: list[list[_Callee]] = [[] for _ in range(SLOTS)]

    async def handle(self, path: str, body: bytes) -> bytes:
        """One request; raises `msgspec.DecodeError` and ValueError for nonsense."""
        if path.endswith("/offer"):
            offer = msgspec.json.decode(body, type=dict[str, Any])
            return msgspec.json.encode(await self._answer(offer["sdp"]))
        if path == "/state":
            sending = sum(len(callee.passed.at_ns) > 0 for callee in self._callees)
            return msgspec.json.encode(State(sending))
        asked = msgspec.json.decode(body, type=Asked)
        return msgspec.json.encode(self._lateness(asked))

    def _lateness(self, asked: Asked) -> Lateness:
        passed = [callee.passed for callee in self._callees]
        return lateness(passed, asked.callers, asked.from_ns, asked.until_ns)

    async def _answer(self, sdp: str) -> dict[str, str]:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        connection.addTrack(_Silence())
        await connection.setLocalDescription(await connection.createAnswer())
        at = self._chance.randrange(len(self._speech.packets))
        callee = _Callee(connection, self._speech, at)
        slot = self._slots[self._chance.randrange(SLOTS)]
        self._callees.append(callee)
        slot.append(callee)

        async def changed() -> None:
            if connection.connectionState == "connected":
                callee.connected()
            elif connection.connectionState in {"failed", "closed"} and callee in slot:
                slot.remove(callee)
                await connection.close()

        connection.on("connectionstatechange", changed)
        local = connection.localDescription
        return {"sdp": local.sdp, "type": local.type, "pc_id": f"load-{len(self._callees)}"}

    async def pulse(self) -> None:
        """Send, each call in its slot of the 20 ms; never returns."""
        loop = asyncio.get_running_loop()
        began_s, tick = loop.time(), 0
        while True:
            slot = self._slots[tick % SLOTS]
            if slot or tick % SLOTS == 0:
                await asyncio.sleep(max(0.0, began_s + tick * SLOT_S - loop.time()))
            for callee in tuple(slot):
                callee.send()
            tick += 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One HTTP request of our own callers."""
        try:
            async with asyncio.timeout(REQUEST_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                _, _, length = head.partition("content-length:")
                size = int(length.split("\r\n")[0])
                if size <= MAX_REQUEST_BYTES:
                    body = await reader.readexactly(size)
                    answer = await self.handle(head.split()[1], body)
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\n"
                    writer.write(head.encode() + b"Connection: close\r\n\r\n" + answer)
                    await writer.drain()
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError) as error:
            sys.stderr.write(f"load agent: {error!r}\n")
        finally:
            writer.close()


async def _main(speech: Path, core: int) -> None:
    keep_to(core)
    # Nothing leaves the host: aioice never offers loopback by itself.
    setattr(aioice.ice, "get_host_addresses", lambda **_: [LOOPBACK])  # noqa: B010 - a replacement
    agent = LoadAgent(read_speech(speech))
    server = await asyncio.start_server(agent.serve, LOOPBACK, 0, backlog=256)
    sys.stdout.write(f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server, asyncio.TaskGroup() as group:
        group.create_task(agent.pulse(), name="pulse")


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    watch_parent(int(sys.argv[3]))
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
