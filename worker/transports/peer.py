"""The aiortc adapter: one peer connection with a microphone, a receive tap and data channels.

Owns everything that knows aiortc and aioice, their private names included (`check_aiortc` verifies
them when a process starts); refuses signalling, which the front ends do. A front end makes as many
peers as its protocol wants: SmallWebRTC one that offers, LiveKit a publisher and a subscriber.

Packets go out and come in as they are on the wire: nothing is encoded, decoded or buffered here.
aiortc's jitter buffer is never used: one lost packet leaves 280 ms of delay in it for good.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import structlog
from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCDtlsTransport,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
    rtcsctptransport,
)
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.rtcicetransport import parse_stun_turn_uri
from aiortc.rtcrtpsender import RTCEncodedFrame

from shared.agent import IceServer
from shared.errors import FleetError, PhonebankError
from worker.transports.arrivals import Arrivals
from worker.transports.doorway import guard
from worker.transports.outbox import Outbox
from worker.transports.reception import Reception
from worker.transports.shortcut import shortcut
from worker.transports.transport import ReceivedPacket, TransportStatistics

Gathering = Literal["host", "loopback", "all"]
"""Local addresses to meet on: those of the host but loopback, 127.0.0.1 alone, or both."""

_AIORTC: Final = "1.16."
_JITTER_BUFFER: Final = "_RTCRtpReceiver__jitter_buffer"
_ROUND_TRIP: Final = "_RTCRtpSender__rtt"
_NEXT_FRAME: Final = "_next_encoded_frame"
_GATHER: Final = "get_component_candidates"
_SOCKETS: Final = "_protocols"
_QUEUE: Final = "_queue"
_KEYS: Final = "_rx_srtp"
_HANDLE_RTP: Final = "_handle_rtp_data"
_STOP_DECODER: Final = "_RTCRtpReceiver__stop_decoder"
_ICE: Final = "_connection"
_LOOPBACK: Final = "127.0.0.1"
_CLOSE_S: Final = 5.0
_CLOSED: Final = "closed while connecting"

# Larger SCTP chunks stall silently on paths with an MTU of 1280 (VPN, IPv6); Pipecat does the same.
rtcsctptransport.USERDATA_MAX_LENGTH = 1100
# Both log several INFO lines per call.
for _name in ("aiortc", "aioice"):
    logging.getLogger(_name).setLevel(logging.WARNING)

log = structlog.get_logger()


class PeerError(PhonebankError):
    """The peer connection could not do what its front end asked."""

    reason = "peer"


class Channel:
    """One data channel of text messages, ours or the other side's."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel

    @property
    def label(self) -> str:
        """As negotiated."""
        return str(self._channel.label)

    def send(self, message: str | bytes) -> bool:
        """Send if the channel is open; False where it is not, or the message is too long for it."""
        if self._channel.readyState != "open":
            return False
        try:
            self._channel.send(message)
        except (ValueError, InvalidStateError):
            return False
        return True


class _SilentTrack(MediaStreamTrack):
    """Stands where aiortc wants a track; its frames come from `Microphone` instead."""

    kind = "audio"

    async def recv(self) -> Any:
        """Never asked: `Microphone` replaces the caller of this method."""
        raise NotImplementedError


class Microphone:
    """The sending half of an audio section: pre-encoded 20 ms Opus packets, sent as they come."""

    def __init__(self, sender: RTCRtpSender) -> None:
        self._sender = sender
        self._outbox = Outbox()
        # aiortc asks for each frame here. Answering with RTCEncodedFrame itself spares the encoder,
        # the executor and the packet object, and lets the level into the header (RFC 6464).
        setattr(sender, _NEXT_FRAME, self._next_frame)

    @property
    def sent(self) -> int:
        """Packets that aiortc took."""
        return self._outbox.sent

    @property
    def round_trip_ms(self) -> float | None:
        """From the other side's receiver reports (RFC 3550, 6.4.1), smoothed by aiortc."""
        round_trip_s = getattr(self._sender, _ROUND_TRIP)
        return None if round_trip_s is None else float(round_trip_s) * 1000

    def send(self, payload: bytes, level_dbov: int) -> None:
        """Send one packet; see `Outbox.put`."""
        self._outbox.put(payload, level_dbov)

    async def _next_frame(self, _codec: object) -> RTCEncodedFrame:
        packet = await self._outbox.take()
        return RTCEncodedFrame([packet.payload], packet.timestamp, -packet.level_dbov)


class _Tap:
    """Takes the place of aiortc's jitter buffer and passes each packet on as it arrives."""

    def __init__(
        self, arrivals: Arrivals, reception: Reception, hear: Callable[[ReceivedPacket], None]
    ) -> None:
        self._arrivals = arrivals
        self._reception = reception
        self._hear = hear
        self._last_ns = 0

    def add(self, packet: Any) -> tuple[bool, None]:
        """What the receiver calls for every RTP packet; asks for no key frame, yields no frame."""
        arrived_ns = self._arrivals.take(packet.ssrc, packet.sequence_number)
        # Packets come in the order of the socket; a stepped wall clock must not say otherwise.
        arrived_ns = self._last_ns = max(arrived_ns, self._last_ns)
        self._reception.add(packet.ssrc, packet.sequence_number, packet.timestamp, arrived_ns)
        if packet._data:  # noqa: SLF001 - empty: padding alone
            self._hear(
                ReceivedPacket(arrived_ns, packet.sequence_number, packet.timestamp, packet._data)  # noqa: SLF001
            )
        return False, None


class Peer:
    """One peer connection. Add audio before channels, offer, accept the answer, wait, close.

    Raises `PeerError` for ICE servers that cannot be used (see `is_usable`).
    `lost` is told once if the connection ends after it was connected and before `close`.
    """

    def __init__(
        self,
        *,
        ice_servers: Sequence[IceServer] = (),
        gathering: Gathering = "host",
        lost: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not all(is_usable(server) for server in ice_servers):
            raise PeerError("an ICE server's URL cannot be read")
        servers = [
            RTCIceServer(urls=s.urls, username=s.username, credential=s.credential)
            for s in ice_servers
        ]
        # An explicit list, always: None means a public STUN server to aiortc.
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._gathering = gathering
        self._lost = lost
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._offering = False
        self._offered = asyncio.Event()
        self._closing = False
        self._closed = asyncio.Event()
        self._arrivals = Arrivals()
        self._reception = Reception()
        self._microphones: list[Microphone] = []
        self._has_channels = False
        self._connection.on("connectionstatechange", self._state_changed)

    def add_audio(self, hear: Callable[[ReceivedPacket], None]) -> Microphone:
        """An audio section that sends and receives Opus; to be added before any channel.

        With MAX_BUNDLE the first section owns the transport, and aiortc stops the transport of the
        other order when the answer comes.
        """
        if self._has_channels:
            raise PeerError("audio must be added before data channels")
        transceiver: RTCRtpTransceiver = self._connection.addTransceiver(_SilentTrack(), "sendrecv")
        capabilities = RTCRtpSender.getCapabilities("audio").codecs
        transceiver.setCodecPreferences([c for c in capabilities if c.mimeType == "audio/opus"])
        setattr(transceiver.receiver, _JITTER_BUFFER, _Tap(self._arrivals, self._reception, hear))
        self._choose_addresses(transceiver)
        microphone = Microphone(transceiver.sender)
        self._microphones.append(microphone)
        return microphone

    def add_channel(
        self,
        label: str,
        *,
        opened: Callable[[], None],
        message: Callable[[str | bytes], None],
        ordered: bool = True,
        max_retransmits: int | None = None,
    ) -> Channel:
        """A data channel of ours, part of the next offer; the other side may never open it."""
        self._has_channels = True
        channel = self._connection.createDataChannel(
            label, ordered=ordered, maxRetransmits=max_retransmits
        )
        channel.on("open", opened)
        channel.on("message", message)
        return Channel(channel)

    async def offer(self) -> str:
        """Gather every candidate and return the SDP of an offer; raises `PeerError` once closed."""
        if self._closing:
            raise PeerError(_CLOSED)
        self._offering = True
        return await asyncio.shield(self._offer())

    async def _offer(self) -> str:
        try:
            await self._connection.setLocalDescription(await self._connection.createOffer())
            for dtls in {each.sender.transport for each in self._connection.getTransceivers()}:
                for protocol in getattr(_ice_of(dtls), _SOCKETS):
                    self._arrivals.watch(protocol, _shortcut(dtls))
                    guard(protocol)
            return str(self._connection.localDescription.sdp)
        finally:
            self._offered.set()

    async def accept(self, answer_sdp: str) -> None:
        """Apply the answer and begin to connect; raises `PeerError` if aiortc cannot use it."""
        try:
            await self._connection.setRemoteDescription(
                RTCSessionDescription(sdp=answer_sdp, type="answer")
            )
        except (ValueError, OperationError, InvalidStateError, AssertionError, KeyError) as error:
            raise PeerError(str(error) or type(error).__name__) from error

    async def connected(self) -> None:
        """Wait until media can flow (ICE and DTLS done); raises `PeerError` if that fails."""
        await asyncio.shield(self._connected)
        for receiver in self._connection.getReceivers():
            # The tap leaves nothing to decode: no idle thread for each call.
            getattr(receiver, _STOP_DECODER)()

    def progress(self) -> str:
        """How far connecting came, for people."""
        return (
            f"ICE {self._connection.iceConnectionState}, "
            f"connection {self._connection.connectionState}"
        )

    def statistics(self) -> TransportStatistics:
        """All audio sections together."""
        round_trips = [m.round_trip_ms for m in self._microphones if m.round_trip_ms is not None]
        return TransportStatistics(
            packets_sent=sum(microphone.sent for microphone in self._microphones),
            packets_received=self._reception.packets,
            packets_lost=self._reception.lost,
            jitter_ms=self._reception.jitter_ms,
            round_trip_ms=round_trips[0] if round_trips else None,
        )

    async def close(self) -> None:
        """Release everything; idempotent. Once begun it is finished, whoever is cancelled."""
        if self._closing:
            await self._closed.wait()
            return
        self._closing = True
        try:
            await asyncio.shield(self._close())
        except asyncio.CancelledError:
            # A close that stops half way leaves tasks and sockets of aiortc behind.
            await self._closed.wait()
            raise

    async def _close(self) -> None:
        if not self._connected.done():
            self._connected.set_exception(PeerError(_CLOSED))
            self._connected.exception()  # seen, also if nobody waits
        try:
            if self._offering:
                # aioice loses sight of sockets that it opens while it is closed; gathering ends by
                # itself, after five seconds at most.
                await self._offered.wait()
            async with asyncio.timeout(_CLOSE_S):
                await self._connection.close()
        except TimeoutError:
            log.warning("peer_close_timed_out")
        except Exception:  # the boundary of a call: hanging up must never fail it
            log.warning("peer_close_failed", exc_info=True)
        finally:
            self._closed.set()

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and not self._connected.done():
            self._connected.set_result(None)
        elif state in {"failed", "closed"} and not self._closing:
            if not self._connected.done():
                self._connected.set_exception(PeerError(self.progress()))
                self._connected.exception()  # seen, also if nobody waits
            elif not self._connected.cancelled() and self._connected.exception() is None:
                lost, self._lost = self._lost, lambda _: None
                lost(f"the connection {state}")

    def _choose_addresses(self, transceiver: RTCRtpTransceiver) -> None:
        """Replace, on this connection alone, the addresses that aioice found on the host.

        aioice never offers loopback by itself; pairs of 127.0.0.1 with an agent's other addresses
        on the same host connect all the same.
        """
        if self._gathering == "host":
            return
        only = self._gathering == "loopback"
        ice = _ice_of(transceiver.sender.transport)
        gather = getattr(ice, _GATHER)

        async def gather_on(component: int, addresses: list[str], timeout: int = 5) -> Any:
            chosen = [_LOOPBACK] if only else [*addresses, _LOOPBACK]
            return await gather(component, chosen, timeout)

        setattr(ice, _GATHER, gather_on)


def _ice_of(dtls: RTCDtlsTransport) -> Any:
    """aioice's connection under a transport."""
    return getattr(dtls.transport, _ICE)


def _shortcut(dtls: RTCDtlsTransport) -> Callable[[bytes], bool]:
    return shortcut(
        keys=lambda: getattr(dtls, _KEYS),
        queue=getattr(_ice_of(dtls), _QUEUE),
        handle=getattr(dtls, _HANDLE_RTP),
    )


def is_usable(server: IceServer) -> bool:
    """Whether aiortc can read every URL of `server` (RFC 7064, RFC 7065)."""
    urls = [server.urls] if isinstance(server.urls, str) else server.urls
    try:
        for url in urls:
            parse_stun_turn_uri(url)
    except ValueError:
        return False
    return True


def check_aiortc() -> None:
    """Verify version and private names that this module relies on; call it in a running loop.

    Raises `FleetError` naming what is missing, before the first call instead of in every one.
    """
    version = importlib.metadata.version("aiortc")
    missing = [] if version.startswith(_AIORTC) else [f"aiortc {_AIORTC}x (found {version})"]
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = connection.addTransceiver("audio")
    ice = getattr(transceiver.sender.transport.transport, _ICE, None)
    places: list[tuple[object, str]] = [
        (transceiver.receiver, _JITTER_BUFFER),
        (transceiver.sender, _ROUND_TRIP),
        (transceiver.sender, _NEXT_FRAME),
        (transceiver.receiver, _STOP_DECODER),
        (ice, _GATHER),
        (ice, _SOCKETS),
        (ice, _QUEUE),
        (transceiver.sender.transport, _KEYS),
        (transceiver.sender.transport, _HANDLE_RTP),
        (rtcsctptransport, "USERDATA_MAX_LENGTH"),
    ]
    missing += [name for place, name in places if not hasattr(place, name)]
    if missing:
        raise FleetError(f"the installed aiortc is not one this worker knows: no {missing}")
