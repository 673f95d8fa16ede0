"""An agent that repeats every secret it was told, in every form and at every place it can reach.

Also owns the forms themselves, written apart from `shared.redaction`, so that a search for them
does not believe what it is meant to check.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from aiohttp import web

from tests.integration.transports.pipecat_peer import Bot


def _texts(secret: str) -> set[str]:
    """As written, JSON-escaped (twice too), URL-encoded."""
    once = [json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
    found = {secret, *once, *(json.dumps(text)[1:-1] for text in once)}
    quoted = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    lower = {re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), text) for text in quoted}
    return found | quoted | lower


def _encoded(secret: str) -> Iterator[tuple[str, str]]:
    """The secret within other bytes as base64, and what of it is the secret's alone."""
    raw = secret.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode(), encode(raw).decode()
        for ahead in range(3):
            text = encode(b"xyz"[:ahead] + raw + b"-and more").decode()
            whole = (ahead + len(raw)) // 3 * 4
            yield text, text[4 if ahead else 0 : whole]


def echoed(secret: str) -> list[str]:
    """What the agent says."""
    return sorted(_texts(secret) | {text for text, _ in _encoded(secret)})


def forms(secret: str) -> set[str]:
    """What must be found nowhere."""
    return {form for form in _texts(secret) | {own for _, own in _encoded(secret)} if len(form) > 7}


class EchoBot(Bot):
    """Says all it knows over the data channel, as an agent's text and as its errors."""

    def __init__(self, pc_id: str, offer: dict[str, Any], told: list[str]) -> None:
        super().__init__(pc_id, offer)
        self._told = told

    def _channel_opened(self, channel: Any) -> None:
        super()._channel_opened(channel)
        for secret in self._told:
            for form in echoed(secret):
                filler = "x" * (3990 - len(form) // 2)  # so that the bound on texts cuts into it
                for text in (form, f"you said {form}, did you", filler + form):
                    self.say("bot-output", text=text, spoken=True, aggregated_by="sentence")
                    self.say("error", error=text)
                    self.say("user-transcription", text=text, final=True)
                    self.say("llm-function-call", function_name=text, arguments={"key": text})
        self.send({"type": "signalling", "message": {"type": "renegotiate", "x": self._told}})


class EchoServer:
    """One path for each place: the body of an error, the session, the peer's name, the SDP."""

    def __init__(self) -> None:
        self.url = ""
        self.calls = 0
        self.bots: list[EchoBot] = []

    async def offer(self, request: web.Request) -> web.StreamResponse:
        self.calls += 1
        offer = await request.json()
        told = _told(request, offer)
        everything = " ".join(form for secret in told for form in echoed(secret))
        match request.match_info["where"]:
            case "error-body":
                return web.Response(status=500, text=everything)
            case "long-error-body":
                return web.Response(status=500, text="x" * 270 + " " + told[0] + everything)
            case "json-error-body":
                return web.json_response({"detail": dict(request.headers), **offer}, status=422)
            case "location":
                return web.Response(status=307, headers={"Location": quote(told[0])})
            case "status-line":
                return web.Response(status=503, reason=quote(told[0]))
            case "sdp":
                sdp = f"v=0\r\nm=audio {told[0]}\r\na=mid:{told[0]}\r\na={everything}\r\n"
                return web.json_response({"type": "answer", "sdp": sdp})
        bot = EchoBot(f"{told[0]} {everything}"[:190], offer, told)
        if request.match_info["where"] == "peer-name":
            bot.pc_id = "x" * 190 + told[0]
        self.bots.append(bot)
        return web.json_response(await bot.answer())

    async def start(self, request: web.Request) -> web.StreamResponse:
        told = _told(request, await request.json())
        if request.match_info["where"] == "start-refused":
            return web.Response(status=403, text=json.dumps(told))
        return web.json_response({"sessionId": f"session {told[0]}"[:200]})


def _told(request: web.Request, body: dict[str, Any]) -> list[str]:
    data = body.get("request_data") or body.get("body") or {}
    header = request.headers["Authorization"].removeprefix("Bearer ")
    return [header, *(str(value) for value in data.values())]


@contextlib.asynccontextmanager
async def echo_server() -> AsyncIterator[EchoServer]:
    """The server for the time of the block."""
    server = EchoServer()
    app = web.Application()
    app.router.add_post("/{where}/api/offer", server.offer)
    app.router.add_post("/{where}/start", server.start)
    app.router.add_post("/{where}/sessions/{session}/api/offer", server.offer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await asyncio.gather(*(bot.connection.close() for bot in server.bots))
        await runner.cleanup()
