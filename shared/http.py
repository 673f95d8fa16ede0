"""Every HTTP request that phonebank sends: one JSON POST, to an address checked after DNS.

Owns time limits, bounded bodies and the address rules; refuses redirects, proxies from the
environment, compressed bodies and addresses that no agent lives at (link-local, cloud metadata,
multicast, unspecified). A name is resolved once and the request goes to the very address that was
checked, with `Host` and TLS name kept, so that a second DNS answer cannot move it elsewhere.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import httpx
import msgspec

from shared.addresses import Address, networks, refusal
from shared.errors import PhonebankError

_CONNECT_S = 5.0
"""For one of several addresses of a name; the last one may use all that is left."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OUR_HEADERS = frozenset({"content-length", "transfer-encoding", "connection", "accept-encoding"})


class HttpError(PhonebankError):
    """A request that brought no answer. Its text names no header value and no body."""

    reason = "http"


class RequestInvalidError(HttpError):
    """The URL or a header cannot be put on the wire."""

    reason = "http_request_invalid"


class AddressRefusedError(HttpError):
    """The host's address is one that must not be called."""

    reason = "http_address_refused"


class UnreachableError(HttpError):
    """The name did not resolve, nothing accepted the connection, or TLS failed."""

    reason = "http_unreachable"
    retryable: ClassVar[bool] = True


class TimedOutError(HttpError):
    """The whole answer was not there in time."""

    reason = "http_timed_out"
    retryable: ClassVar[bool] = True


class RedirectedError(HttpError):
    """The answer points elsewhere; where to was not checked, so nobody goes there."""

    reason = "http_redirected"


class AnswerBrokenError(HttpError):
    """Something answered, but not with an HTTP answer that can be used."""

    reason = "http_answer_broken"


class HttpAnswer(msgspec.Struct, frozen=True):
    """An answer of any status but 3xx."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The decoded body; raises `AnswerBrokenError`."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise AnswerBrokenError("the answer is not JSON") from error

    def text(self, limit: int = 300) -> str:
        """The start of the body on one line, for people."""
        text = " ".join(self.body[: 4 * limit].decode(errors="replace").split())
        return "".join(c for c in text if c.isprintable())[:limit]


class Http:
    """A client without state between requests: no cookies, no kept-alive connections.

    `allow_addresses`: networks (CIDR) outside of which nothing is called; empty allows loopback,
    private and public addresses alike, since self-hosted agents live on all of them.
    """

    def __init__(self, *, allow_addresses: Iterable[str] = ()) -> None:
        self._allowed = networks(allow_addresses)
        # Connections are not kept: the pool keys them by address, and two names with different
        # certificates may share one.
        self._client = httpx.AsyncClient(
            verify=httpx.create_ssl_context(trust_env=True),  # SSL_CERT_FILE, and nothing else
            trust_env=False,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            headers={"Accept-Encoding": "identity", "User-Agent": "phonebank"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def addresses(self, url: str, timeout_s: float) -> list[Address]:
        """The addresses that a request to `url` would go to, checked. Raises `HttpError`."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._resolve(_parsed(url))
        except TimeoutError as error:
            raise TimedOutError(f"the name did not resolve within {timeout_s:g} s") from error

    async def post_json(
        self, url: str, body: Any, headers: Mapping[str, str], *, timeout_s: float, max_bytes: int
    ) -> HttpAnswer:
        """POST `body` as JSON and read the whole answer within `timeout_s` and `max_bytes`.

        Raises `RequestInvalidError`, `AddressRefusedError`, `UnreachableError`, `TimedOutError`,
        `RedirectedError` or `AnswerBrokenError` (a body over the bound included).
        """
        target = _parsed(url)
        sent = _headers(target, headers)
        content = msgspec.json.encode(body)
        try:
            async with asyncio.timeout(timeout_s):
                addresses = await self._resolve(target)
                for address in addresses[:-1]:
                    try:
                        return await self._post(
                            target, address, content, sent, max_bytes, _CONNECT_S
                        )
                    except (httpx.ConnectError, httpx.ConnectTimeout):
                        continue  # the next address of the name; nothing was sent to this one
                return await self._post(target, addresses[-1], content, sent, max_bytes, None)
        except TimeoutError as error:
            raise TimedOutError(f"no whole answer within {timeout_s:g} s") from error
        except httpx.ConnectError as error:
            what = _tls_failure(error) or "nothing answered"
            raise UnreachableError(f"{what} at {_place(target)}") from error
        except httpx.LocalProtocolError:
            # No cause: its text quotes header values.
            raise RequestInvalidError("the request breaks the rules of HTTP") from None
        except httpx.HTTPError as error:
            raise AnswerBrokenError(f"the connection broke ({type(error).__name__})") from error

    async def _post(
        self,
        target: httpx.URL,
        address: Address,
        content: bytes,
        headers: httpx.Headers,
        max_bytes: int,
        connect_s: float | None,
    ) -> HttpAnswer:
        request = self._client.build_request(
            "POST",
            target.copy_with(host=str(address)),
            content=content,
            headers=headers,
            timeout=httpx.Timeout(None, connect=connect_s),
            extensions={"sni_hostname": target.host},
        )
        answer = await self._client.send(request, stream=True)
        try:
            return await _read(answer, max_bytes)
        finally:
            await answer.aclose()

    async def _resolve(self, target: httpx.URL) -> list[Address]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(target.host, _port(target), type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise UnreachableError(f"the name {target.host} does not resolve") from error
        addresses = list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))
        for address in addresses:
            why = refusal(address, self._allowed)
            if why:
                raise AddressRefusedError(f"{target.host} is {address}, which {why}")
        return addresses


async def _read(answer: httpx.Response, max_bytes: int) -> HttpAnswer:
    if 300 <= answer.status_code < 400:
        raise RedirectedError(f"HTTP {answer.status_code}: redirects are not followed")
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise AnswerBrokenError("the answer is compressed, which was not asked for")
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > max_bytes:
            raise AnswerBrokenError(f"the answer is longer than {max_bytes} bytes")
    return HttpAnswer(answer.status_code, bytes(body))


def _tls_failure(error: BaseException) -> str | None:
    """What OpenSSL said, where a connection failed because of TLS."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {cause.reason or 'handshake failed'}"
        cause = cause.__cause__ or cause.__context__
    return None


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise RequestInvalidError("the URL cannot be read") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise RequestInvalidError("the URL names no host for http or https")
    return parsed


def _headers(target: httpx.URL, given: Mapping[str, str]) -> httpx.Headers:
    headers = httpx.Headers({"Content-Type": "application/json", "Host": _place(target)})
    for name, value in given.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OUR_HEADERS:
            raise RequestInvalidError(f"header {name!r} cannot be set")
        if not _HEADER_VALUE.fullmatch(value):
            raise RequestInvalidError(f"the value of header {name!r} holds characters HTTP forbids")
        headers[name] = value
    return headers


def _port(target: httpx.URL) -> int:
    return target.port or (443 if target.scheme == "https" else 80)


def _place(target: httpx.URL) -> str:
    """Host and port as in a `Host` header, without user name and password."""
    return target.netloc.decode("ascii")
