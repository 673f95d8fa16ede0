"""The SmallWebRTC transport keeps the contract, against a real aiortc peer over HTTP and UDP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from shared.agent import SmallWebRTC
from shared.call import EndedReason, Step
from shared.http import Http
from tests.contracts.transports import CONTRACT, Check
from tests.integration.transports.pipecat_peer import PipecatPeer
from worker.transports.smallwebrtc.transport import SmallWebRTCTransport
from worker.transports.transport import Transport


class PipecatStage:
    def __init__(self, peer: PipecatPeer, http: Http) -> None:
        self._peer, self._http = peer, http

    def call(self) -> Transport:
        endpoint = SmallWebRTC(offer_url=f"{self._peer.url}/api/offer")
        return SmallWebRTCTransport(endpoint, connect_s=5.0, tell_agent={}, http=self._http)

    def refused_call(self) -> tuple[Transport, Step, EndedReason]:
        self._peer.spoil_answer = lambda _: web.Response(status=403, text="not for you")
        return self.call(), Step.SIGNALLING, EndedReason.OFFER_REFUSED

    def agent_heard(self) -> list[bytes]:
        return self._peer.bots[-1].heard

    async def agent_hangs_up(self) -> None:
        await self._peer.bots[-1].connection.close()


@pytest.fixture
async def stage() -> AsyncIterator[PipecatStage]:
    async with PipecatPeer() as peer, Http() as http:
        yield PipecatStage(peer, http)


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
async def test_smallwebrtc_keeps_the_contract(check: Check, stage: PipecatStage) -> None:
    """Each promise of a transport holds on the wire."""
    await check(stage)
