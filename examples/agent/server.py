"""Pipecat's HTTP side: offer in, answer out. Owns the routes and the sessions' tasks.

POST /api/offer                 {sdp, type, pc_id?, request_data?} -> {sdp, type, pc_id}
POST /start                     {...} -> {sessionId, iceConfig?}
POST /sessions/{id}/api/offer   as /api/offer, for an id that /start gave
PATCH on either offer           trickled ICE candidates: acknowledged, not needed on one host
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import uuid
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from faults import Fault
from session import Lines, Session

KEPT_STARTS = 1000

log = logging.getLogger("agent")


class Server:
    """The agent as an aiohttp application; `async with` owns every call until it has ended."""

    def __init__(self, lines: Lines, fault: Fault | None, seed: int) -> None:
        self._lines = lines
        self._fault = fault
        self._seed = seed
        self._numbers = itertools.count()
        self._calls: dict[str, Session] = {}
        self._starts: dict[str, None] = {}
        self._tasks = asyncio.TaskGroup()
        self.app = web.Application()
        for path in ("/api/offer", "/sessions/{session_id}/api/offer"):
            self.app.router.add_post(path, self._offer)
            self.app.router.add_patch(path, self._candidates)
        self.app.router.add_post("/start", self._start)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for call in self._calls.values():
            call.leave()
        await self._tasks.__aexit__(kind, error, trace)

    async def _offer(self, request: web.Request) -> web.Response:
        if self._fault is Fault.REFUSES_OFFER:
            return web.Response(status=503, text="The agent takes no calls at the moment.")
        session_id = request.match_info.get("session_id")
        if session_id is not None and session_id not in self._starts:
            return web.Response(status=404, text="Invalid or not-yet-ready session_id")
        offer = await _json(request)
        sdp = offer.get("sdp")
        if offer.get("type") != "offer" or not isinstance(sdp, str):
            detail = [{"loc": ["body"], "msg": "an object with sdp and type 'offer' is needed"}]
            return web.json_response({"detail": detail}, status=422)
        pc_id = offer.get("pc_id")
        try:
            if pc_id in self._calls:
                answer = await self._calls[pc_id].answer(sdp)
            else:
                pc_id, answer = await self._take_call(sdp)
        except ValueError as error:
            return web.json_response({"detail": str(error)}, status=400)
        return web.json_response({"sdp": answer, "type": "answer", "pc_id": pc_id})

    async def _take_call(self, sdp: str) -> tuple[str, str]:
        number = next(self._numbers)
        pc_id = f"SmallWebRTCConnection#{number}-{uuid.uuid4().hex}"
        call = Session(self._lines, self._fault, f"{self._seed}/{number}")
        answer = await call.answer(sdp)
        self._calls[pc_id] = call
        self._tasks.create_task(self._hold(pc_id, call))
        return pc_id, answer

    async def _hold(self, pc_id: str, call: Session) -> None:
        log.info("%s began", pc_id)
        try:
            await call.run()
        except Exception:  # one call's end must not be the other calls' end
            log.exception("%s failed", pc_id)
        finally:
            del self._calls[pc_id]
        log.info("%s ended", pc_id)

    async def _start(self, request: web.Request) -> web.Response:
        wish = await _json(request)
        session_id = str(uuid.uuid4())
        self._starts[session_id] = None
        if len(self._starts) > KEPT_STARTS:
            del self._starts[next(iter(self._starts))]
        started: dict[str, Any] = {"sessionId": session_id}
        if wish.get("enableDefaultIceServers"):
            started["iceConfig"] = {"iceServers": []}  # nothing but this host is ever asked
        return web.json_response(started)

    async def _candidates(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "success"})


async def _json(request: web.Request) -> dict[str, Any]:
    """The body as an object; empty for anything else, as in Pipecat's runner."""
    try:
        body = await request.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
