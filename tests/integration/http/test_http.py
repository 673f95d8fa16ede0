"""One JSON POST, with everything that a hostile or broken server may do about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from shared.http import (
    AddressRefusedError,
    AnswerBrokenError,
    Http,
    HttpAnswer,
    HttpError,
    RedirectedError,
    RequestInvalidError,
    TimedOutError,
    UnreachableError,
)

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handle], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    runners: list[web.AppRunner] = []

    async def start(handle: Handle) -> str:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/offer"

    yield start
    for runner in runners:
        await runner.cleanup()


async def post(
    url: str, timeout_s: float = 5.0, headers: dict[str, str] | None = None
) -> HttpAnswer:
    async with Http() as http:
        return await http.post_json(
            url, {"a": 1}, headers or {}, timeout_s=timeout_s, max_bytes=1000
        )


async def test_a_json_body_and_headers_arrive(serve: Serve) -> None:
    """The server sees what was given, and the host by the name that was given."""
    seen: list[tuple[object, str, str, str]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        names = ("Authorization", "Host", "Content-Type")
        seen.append((await request.json(), *(request.headers[name] for name in names)))
        return web.json_response({"b": 2}, status=201)

    url = (await serve(handle)).replace("127.0.0.1", "localhost")
    answer = await post(url, headers={"Authorization": "Bearer x"})
    assert (answer.status, answer.json()) == (201, {"b": 2})
    host = url.removeprefix("http://").removesuffix("/offer")
    assert seen == [({"a": 1}, "Bearer x", host, "application/json")]


async def test_error_statuses_are_answers(serve: Serve) -> None:
    """What a status means is the caller's business; its text is one bounded line."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text="no\nluck\x00 " + "x" * 900)

    answer = await post(await serve(handle))
    assert answer.status == 500
    assert answer.text().startswith("no luck")
    assert len(answer.text()) == 300


async def test_redirects_are_not_followed(serve: Serve) -> None:
    """Nobody goes to an address that was not checked."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "http://169.254.169.254/"})

    with pytest.raises(RedirectedError, match="307"):
        await post(await serve(handle))


async def test_long_bodies_are_cut_off(serve: Serve) -> None:
    """A body over the bound is an error, however it is sent."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"x" * 100)
        return response

    with pytest.raises(AnswerBrokenError, match="1000 bytes"):
        await post(await serve(handle))


async def test_a_slow_drip_ends_at_the_deadline(serve: Serve) -> None:
    """The limit is for the whole answer, not for each byte of it."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            drop = asyncio.Event()
            asyncio.get_running_loop().call_later(0.02, drop.set)
            await drop.wait()

    with pytest.raises(TimedOutError):
        await post(await serve(handle), timeout_s=0.3)


async def test_compressed_answers_are_refused(serve: Serve) -> None:
    """A small body could unpack to any size, and it was not asked for."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})

    with pytest.raises(AnswerBrokenError, match="compressed"):
        await post(await serve(handle))


async def test_something_that_speaks_no_http_is_named() -> None:
    """A server that hangs up or talks nonsense answered, but not usably."""

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"\x00nonsense\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(AnswerBrokenError):
            await post(f"http://127.0.0.1:{port}/")


async def test_nothing_there_is_unreachable() -> None:
    """A closed port, and a name that does not exist."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(UnreachableError):
        await post(f"http://127.0.0.1:{port}/")
    with pytest.raises(UnreachableError, match="does not resolve"):
        await post("http://no-such-host.invalid/")


@pytest.mark.parametrize("host", ["169.254.169.254", "0.0.0.0", "[::ffff:169.254.169.254]"])
async def test_refused_addresses_are_never_connected_to(host: str) -> None:
    """The rules hold for the address, however it is written."""
    with pytest.raises(AddressRefusedError):
        await post(f"http://{host}/latest/meta-data")


async def test_an_operators_list_holds(serve: Serve) -> None:
    """Loopback is refused where the fleet's list does not name it."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(text="{}")

    url = await serve(handle)
    async with Http(allow_addresses=["10.0.0.0/8"]) as http:
        with pytest.raises(AddressRefusedError, match="outside"):
            await http.post_json(url, {}, {}, timeout_s=5, max_bytes=10)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer secret\n"},
        {"Authorization": "secret\r\nX: y"},
        {"Na me": "secret"},
        {"Content-Length": "7"},
        {"X": "sécret"},
    ],
)
async def test_headers_that_cannot_be_sent_are_refused_unquoted(headers: dict[str, str]) -> None:
    """The name is told, the value never: it may be a secret."""
    with pytest.raises(RequestInvalidError) as error:
        await post("http://127.0.0.1:9/", headers=headers)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("url", ["", "ftp://host/", "http://", "http://[::1/", "http://h:x/"])
async def test_urls_that_cannot_be_read_are_refused(url: str) -> None:
    """Whatever is no URL of a web server."""
    with pytest.raises(RequestInvalidError):
        await post(url)


async def test_proxies_of_the_environment_are_ignored(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would resolve the name again, behind the check."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(text="{}")

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert (await post(await serve(handle))).status == 200


async def test_every_error_is_one_family() -> None:
    """Whoever sends a request catches one name."""
    for kind in (AddressRefusedError, AnswerBrokenError, RedirectedError, RequestInvalidError):
        assert issubclass(kind, HttpError)
