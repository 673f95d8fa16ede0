"""A call to a Pipecat SmallWebRTC agent: signalling, then one peer connection with a data channel.

Owns the order of the steps and what the line is told; the wire formats are `signalling`, `answer`
and `rtvi`, the media is `worker.transports.peer`.
"""

from __future__ import annotations

import asyncio

from shared.agent import IceServer, SmallWebRTC
from shared.call import EndedReason, Step
from shared.errors import CallFailure
from shared.http import Http
from worker.transports.peer import (
    Channel,
    Gathering,
    Microphone,
    Peer,
    PeerError,
    is_usable,
)
from worker.transports.smallwebrtc.rtvi import PeerLeft, Rtvi, client_ready
from worker.transports.smallwebrtc.signalling import Session, Signalling
from worker.transports.transport import Line, TransportStatistics

_CHANNEL = "chat"
_CLOSED = "closed while connecting"


class SmallWebRTCTransport:
    """One connection to one SmallWebRTC endpoint; `endpoint` has its secrets resolved.

    `connect_s` bounds each of the two steps, signalling and ICE (with DTLS). `tell_agent` are
    scenario variables that the agent may know, sent beside the endpoint's own data.
    """

    def __init__(
        self,
        endpoint: SmallWebRTC,
        *,
        connect_s: float,
        tell_agent: dict[str, str],
        http: Http,
    ) -> None:
        self._endpoint = endpoint
        self._connect_s = connect_s
        self._tell_agent = tell_agent
        self._http = http
        self._line: Line | None = None
        self._peer: Peer | None = None
        self._microphone: Microphone | None = None
        self._channel: Channel | None = None
        self._rtvi = Rtvi()
        self._join_keys: dict[str, str] = {}
        self._closed = False

    async def connect(self, line: Line) -> None:
        """See `Transport.connect`: SIGNALLING, then ICE; what was opened is closed on failure."""
        if self._closed or self._line is not None:
            raise CallFailure(EndedReason.INTERNAL_ERROR, Step.SIGNALLING, "connected twice")
        self._line = line
        try:
            line.step(Step.SIGNALLING)
            peer, answer_sdp = await self._signal(line)
            await self._meet(line, peer, answer_sdp)
        except BaseException:
            await self.close()
            raise

    def send(self, payload: bytes, level_dbov: int) -> None:
        """See `Transport.send`."""
        if self._microphone is not None and not self._closed:
            self._microphone.send(payload, level_dbov)

    def join_keys(self) -> dict[str, str]:
        """`pc_id` from the answer and `session_id` from `/start`, where there were any."""
        return dict(self._join_keys)

    def statistics(self) -> TransportStatistics:
        """See `Transport.statistics`."""
        return self._peer.statistics() if self._peer is not None else TransportStatistics()

    async def close(self) -> None:
        """See `Transport.close`; the agent learns of it by DTLS close_notify."""
        self._closed = True
        if self._peer is not None:
            await self._peer.close()

    async def _signal(self, line: Line) -> tuple[Peer, str]:
        deadline = asyncio.get_running_loop().time() + self._connect_s
        signalling = Signalling(self._endpoint, self._tell_agent, self._http, deadline)
        try:
            async with asyncio.timeout_at(deadline):
                near = self._endpoint.ice == "auto" and await signalling.is_loopback()
                session = await signalling.session()
                if session.session_id:
                    self._join_keys["session_id"] = session.session_id
                peer = self._open(line, self._ice_servers(session, near=near), near=near)
                answer = await signalling.offer(session, await peer.offer())
        except PeerError as error:
            raise CallFailure(EndedReason.ICE_FAILED, Step.SIGNALLING, str(error)) from error
        except TimeoutError as error:
            detail = f"no answer within {self._connect_s:g} s"
            raise CallFailure(EndedReason.OFFER_TIMED_OUT, Step.SIGNALLING, detail) from error
        if answer.pc_id:
            self._join_keys["pc_id"] = answer.pc_id
        return peer, answer.sdp

    def _ice_servers(self, session: Session, *, near: bool) -> tuple[IceServer, ...]:
        if self._endpoint.ice_servers:
            return tuple(self._endpoint.ice_servers)
        if near:
            return ()  # on loopback nothing leaves the host
        return tuple(server for server in session.ice_servers if is_usable(server))

    def _open(self, line: Line, ice_servers: tuple[IceServer, ...], *, near: bool) -> Peer:
        gathering: Gathering = "loopback" if near else "host"
        if self._endpoint.ice == "all":
            gathering = "all"
        if self._closed:
            raise CallFailure(EndedReason.ICE_FAILED, Step.SIGNALLING, _CLOSED)
        try:
            peer = Peer(ice_servers=ice_servers, gathering=gathering, lost=line.agent_left)
        except PeerError as error:
            raise CallFailure(EndedReason.PLAN_INVALID, Step.SIGNALLING, str(error)) from error
        self._peer = peer
        self._microphone = peer.add_audio(line.heard)
        self._channel = peer.add_channel(_CHANNEL, opened=self._opened, message=self._message)
        return peer

    async def _meet(self, line: Line, peer: Peer, answer_sdp: str) -> None:
        if self._closed:
            raise CallFailure(EndedReason.ICE_FAILED, Step.SIGNALLING, _CLOSED)
        line.step(Step.ICE)
        try:
            async with asyncio.timeout(self._connect_s):
                await self._accept(peer, answer_sdp)
                await peer.connected()
        except PeerError as error:
            raise CallFailure(EndedReason.ICE_FAILED, Step.ICE, str(error)) from error
        except TimeoutError as error:
            detail = f"not connected within {self._connect_s:g} s ({peer.progress()})"
            raise CallFailure(EndedReason.ICE_FAILED, Step.ICE, detail) from error

    async def _accept(self, peer: Peer, answer_sdp: str) -> None:
        try:
            await peer.accept(answer_sdp)
        except PeerError as error:
            raise CallFailure(EndedReason.ANSWER_INVALID, Step.ICE, str(error)[:300]) from error

    def _opened(self) -> None:
        # Never a ping: after the first one a bot mutes itself whenever the next is 3 s late.
        if self._endpoint.rtvi == "auto" and self._channel is not None:
            self._channel.send(client_ready())

    def _message(self, message: str | bytes) -> None:
        if self._line is None or self._closed:
            return
        for heard in self._rtvi.read(message):
            if isinstance(heard, PeerLeft):
                self._line.agent_left("the agent ended the call")
            elif self._endpoint.rtvi == "auto":
                self._line.reported(heard)
