"""Endpoints that misbehave, one path each: what an agent's HTTP side can do wrong."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from tests.integration.http.test_tls import certificate_for
from tests.integration.transports.pipecat_peer import Bot

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
DRIP_S = 0.2


async def server_error(_: web.Request) -> web.StreamResponse:
    return web.Response(status=500, text="boom")


async def redirects(_: web.Request) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": "/redirects/api/offer"})


async def garbage_body(_: web.Request) -> web.StreamResponse:
    return web.Response(body=bytes(range(256)) * 8, content_type="application/json")


async def garbage_sdp(_: web.Request) -> web.StreamResponse:
    return web.json_response({"type": "answer", "sdp": "v=0\r\nm=audio x\r\na=\x00\r\n" * 50})


async def no_media(_: web.Request) -> web.StreamResponse:
    sdp = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
    return web.json_response({"type": "answer", "sdp": sdp})


async def huge_body(request: web.Request) -> web.StreamResponse:
    """100 MB, as far as anybody reads."""
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            await response.write(b" " * 1_000_000)
    return response


async def never_answers(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def slow_drip(request: web.Request) -> web.StreamResponse:
    """One byte at a time, for ever."""
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b"{")
            await asyncio.sleep(DRIP_S)
    return response


async def cuts_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"type": "ans')
    assert request.transport is not None
    request.transport.close()
    return response


async def start_refused(_: web.Request) -> web.StreamResponse:
    return web.Response(status=403, text="no such key")


async def start_without_session(_: web.Request) -> web.StreamResponse:
    return web.json_response({"ok": True})


async def session_never_ready(_: web.Request) -> web.StreamResponse:
    return web.json_response({"detail": "not ready"}, status=404)


async def _answer(request: web.Request, spoil: Callable[[str], str]) -> web.StreamResponse:
    """A real peer's answer, changed; the peer itself is gone."""
    bot = Bot("SmallWebRTCConnection#0-abc", await request.json())
    answer = await bot.answer()
    await bot.connection.close()
    return web.json_response({**answer, "sdp": spoil(answer["sdp"])})


async def dead_addresses(request: web.Request) -> web.StreamResponse:
    """Every candidate points at a port where nobody listens."""
    return await _answer(
        request, lambda sdp: re.sub(r"(a=candidate:.* )\d+ (typ host)", r"\g<1>9 \2", sdp)
    )


async def no_candidates(request: web.Request) -> web.StreamResponse:
    return await _answer(request, lambda sdp: re.sub(r"a=candidate:.*\r\n", "", sdp))


async def countless_candidates(request: web.Request) -> web.StreamResponse:
    """Fifty thousand, each another address."""

    def many(sdp: str) -> str:
        found = re.search(r"a=candidate:.*\r\n", sdp)
        assert found is not None
        extra = "".join(
            f"a=candidate:{n} 1 udp 1 10.{n >> 16}.{n >> 8 & 255}.{n & 255} 9 typ host\r\n"
            for n in range(50_000)
        )
        return sdp.replace(found[0], found[0] + extra, 1)

    return await _answer(request, many)


async def some_candidates(request: web.Request) -> web.StreamResponse:
    """Ninety that lead nowhere: as many as are let through."""

    def many(sdp: str) -> str:
        extra = "".join(
            f"a=candidate:{n} 1 udp 1 127.0.0.1 {1000 + n} typ host\r\n" for n in range(90)
        )
        return re.sub(r"(a=candidate:.*\r\n)+", extra, sdp)

    return await _answer(request, many)


HANDLERS: dict[str, Handler] = {
    handler.__name__.replace("_", "-"): handler
    for handler in (
        server_error,
        redirects,
        garbage_body,
        garbage_sdp,
        no_media,
        huge_body,
        never_answers,
        slow_drip,
        cuts_off,
        dead_addresses,
        no_candidates,
        countless_candidates,
        some_candidates,
    )
}


class Strangers:
    """`url(name)` is an offer URL; `start(name)` a start URL."""

    def __init__(self, base: str, tls_port: int, closed_port: int) -> None:
        self._base = base
        self.tls = f"https://127.0.0.1:{tls_port}/api/offer"
        self.closed = f"http://127.0.0.1:{closed_port}/api/offer"

    def url(self, name: str) -> str:
        return f"{self._base}/{name}/api/offer"

    def start(self, name: str) -> str:
        return f"{self._base}/{name}/start"


@contextlib.asynccontextmanager
async def strangers(folder: Path) -> AsyncIterator[Strangers]:
    """The servers for the time of the block."""
    app = web.Application()
    for name, handler in HANDLERS.items():
        app.router.add_post(f"/{name}/api/offer", handler)
    app.router.add_post("/start-refused/start", start_refused)
    app.router.add_post("/start-without-session/start", start_without_session)
    app.router.add_post("/never-ready/start", _session)
    app.router.add_post("/never-ready/sessions/{session}/api/offer", session_never_ready)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate_for("localhost", folder))

    def nobody(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(nobody, "127.0.0.1", 0, ssl=context)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and never listening: nobody else gets the port
        try:
            async with server:
                tls_port = server.sockets[0].getsockname()[1]
                yield Strangers(f"http://{host}:{port}", tls_port, closed.getsockname()[1])
        finally:
            await runner.cleanup()


async def _session(_: web.Request) -> web.StreamResponse:
    return web.json_response({"sessionId": "s1"})
