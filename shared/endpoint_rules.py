"""Contradictions inside an endpoint. Owns how a URL and a header may look; resolves no host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from shared.agent import IceServer, SmallWebRTC
from shared.errors import PlanError
from shared.json_path import Path
from shared.plan_shape import refusal, shown
from shared.secrets import ice_host

SESSION_PLACE = "{session_id}"

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
"""RFC 9110, section 5.6.2."""
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]")
_FRAMING = {"content-length", "transfer-encoding", "connection", "content-type", "upgrade"}


def endpoint_refusals(endpoint: SmallWebRTC, path: Path) -> Iterator[PlanError]:
    """What is wrong with an endpoint, in order."""
    yield from _forms(endpoint, path)
    for field, url in (("offer_url", endpoint.offer_url), ("start_url", endpoint.start_url)):
        if url is not None and (wrong := _wrong_url(url)) is not None:
            yield refusal((*path, field), wrong, "http://host:port/path, or https")
    seen: set[str] = set()
    for name, value in endpoint.headers.items():
        place = (*path, "headers", name)
        if not _TOKEN.fullmatch(name):
            yield refusal(place, "not a header's name", "letters, digits and hyphens")
        if name.lower() in _FRAMING:
            yield refusal(place, f"{name} is set by phonebank itself")
        if name.lower() in seen:
            yield refusal(place, "the header stands here twice (case does not count)")
        if _NOT_PRINTABLE.search(value):
            yield refusal(place, "a header's value must be printable ASCII")
        seen.add(name.lower())
    for at, server in enumerate(endpoint.ice_servers):
        yield from _ice_server(server, (*path, "ice_servers", at))


def _forms(endpoint: SmallWebRTC, path: Path) -> Iterator[PlanError]:
    one = "offer_url alone (direct), or start_url (session)"
    if endpoint.start_url is None:
        if endpoint.offer_url is None:
            yield refusal(path, "there is no URL to call", one)
        elif SESSION_PLACE in endpoint.offer_url:
            yield refusal(
                (*path, "offer_url"), f"{SESSION_PLACE} needs a start_url that gives the id", one
            )
        if endpoint.start_body:
            yield refusal(
                (*path, "start_body"), "start_body without start_url is sent nowhere", one
            )
    elif endpoint.offer_url is None:
        if "/start" not in urlsplit_path(endpoint.start_url):
            yield refusal(
                (*path, "start_url"),
                "where the offer goes cannot be told from this URL",
                f"a path that ends in /start, or an offer_url with {SESSION_PLACE} beside it",
            )
    elif SESSION_PLACE not in endpoint.offer_url:
        yield refusal(
            (*path, "offer_url"),
            f"beside start_url, the offer's URL must say where the session stands: {SESSION_PLACE}",
            one,
        )


def urlsplit_path(url: str) -> str:
    """The path of a URL; the empty text for what is no URL."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def _wrong_url(url: str) -> str | None:
    if _NOT_PRINTABLE.search(url) or " " in url:
        return "a URL holds no spaces and only ASCII characters"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"not a URL: {error}"
    if SESSION_PLACE in parts.netloc:
        # The agent's own answer fills it: it must not choose the host that gets the headers.
        return f"{SESSION_PLACE} may stand only after the host"
    if not host or port == 0:
        return f"{shown(url)} names no host that can be called"
    if parts.username is not None or parts.password is not None:
        return "a URL must not hold credentials; put them into headers"
    return "a URL's #fragment is never sent" if parts.fragment else None


def _ice_server(server: IceServer, path: Path) -> Iterator[PlanError]:
    urls = [server.urls] if isinstance(server.urls, str) else server.urls
    if not urls:
        yield refusal((*path, "urls"), "no URL is given", "turn:host:3478")
    for url in urls:
        scheme = url.split(":", 1)[0]
        if scheme not in {"stun", "stuns", "turn", "turns"} or not ice_host(url) or " " in url:
            yield refusal((*path, "urls"), f"{shown(url)} is no ICE server", "turn:host:3478")
        if scheme in {"turn", "turns"} and (server.username is None or server.credential is None):
            yield refusal(path, "a TURN server needs username and credential")
