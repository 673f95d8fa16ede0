"""Secret references: where `${NAME}` stands, what it resolves to, and how a value is kept out of
texts.

A plan holds references only. The value is read from `PHONEBANK_SECRET_NAME` when a call starts; no
other variable of the environment is in a plan's reach. `PHONEBANK_SECRET_NAME_HOSTS`
("a.example,b.example") binds a secret to hosts. There is no escape: `${` always opens a reference,
a lone `$` is itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from shared.agent import IceServer, SmallWebRTC
from shared.call import EndedReason, Step
from shared.errors import CallFailure
from shared.redaction import Redactor

__all__ = [
    "Redactor",
    "embedded_environ",
    "malformed_reference",
    "names_in",
    "resolve",
    "resolve_endpoint",
    "secret_values",
    "variable",
]

PREFIX = "PHONEBANK_SECRET_"
HOSTS_SUFFIX = "_HOSTS"
SECRET_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,99}")

_REFERENCE = re.compile(r"\$\{([^}$]{0,120})\}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

T = TypeVar("T")


def variable(name: str) -> str:
    """The environment variable that holds a secret."""
    return PREFIX + name


def names_in(value: object) -> set[str]:
    """Names of all references in a text, a tree or a Struct of the plan."""
    if isinstance(value, str):
        return {name for name in _REFERENCE.findall(value) if SECRET_NAME.fullmatch(name)}
    if isinstance(value, Mapping):
        return names_in([*value.keys(), *value.values()])
    if isinstance(value, (list, tuple)):
        return set().union(*(names_in(item) for item in value))
    if isinstance(value, msgspec.Struct):
        return names_in([getattr(value, field) for field in value.__struct_fields__])
    return set()


def malformed_reference(text: str) -> str | None:
    """What is wrong with the references of a text, or None."""
    for name in _REFERENCE.findall(text):
        if not SECRET_NAME.fullmatch(name):
            return f"{name[:60]!r} is not a secret's name"
        if name.endswith(HOSTS_SUFFIX):
            return f"a secret's name must not end in {HOSTS_SUFFIX}"
    return "a ${ that no } closes" if "${" in _REFERENCE.sub("", text) else None


def resolve(value: T, environ: Mapping[str, str], host: str | None) -> T:
    """The same shape with references filled, for sending to `host`.

    A whole endpoint names the hosts that it would reach itself (`resolve_endpoint`). Raises
    CallFailure (SECRET_MISSING) that names the variable and never the value.
    """
    return _resolved(value, environ, host)  # type: ignore[no-any-return]


def resolve_endpoint(endpoint: SmallWebRTC, environ: Mapping[str, str]) -> SmallWebRTC:
    """An endpoint ready to be called: each secret may go only to the hosts that it would reach."""
    urls = [url for url in (endpoint.start_url, endpoint.offer_url) if url is not None]
    hosts = list(dict.fromkeys(urlsplit(url).hostname for url in urls)) or [None]
    for host in hosts:
        headers = resolve(endpoint.headers, environ, host)
        request_data = resolve(endpoint.request_data, environ, host)
    start_body = resolve(endpoint.start_body, environ, hosts[0])
    for header, value in headers.items():
        if _CONTROL.search(value):
            raise _missing(f"the secret in the header {header} holds a line break")
    servers = [_resolved_server(server, environ) for server in endpoint.ice_servers]
    return msgspec.structs.replace(
        endpoint,
        headers=headers,
        request_data=request_data,
        start_body=start_body,
        ice_servers=servers,
    )


def embedded_environ(names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """`PHONEBANK_SECRET_*` for the workers of an embedded fleet, from the submitter's environment.

    `PHONEBANK_SECRET_NAME` wins over plain `NAME`; a name that is in neither is left out, so that
    the call says which variable is missing.
    """
    found: dict[str, str] = {}
    for name in sorted(names):
        value = environ.get(variable(name)) or environ.get(name)
        hosts = environ.get(variable(name) + HOSTS_SUFFIX)
        found |= {variable(name): value} if value else {}
        found |= {variable(name) + HOSTS_SUFFIX: hosts} if hosts is not None else {}
    return found


def secret_values(names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Values by name, of those that are set: what `Redactor` takes."""
    return {name: environ[variable(name)] for name in sorted(names) if environ.get(variable(name))}


def _resolved(value: Any, environ: Mapping[str, str], host: str | None) -> Any:
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _value_of(match[1], environ, host), value)
    if isinstance(value, dict):
        return {key: _resolved(item, environ, host) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, environ, host) for item in value]
    if isinstance(value, SmallWebRTC):
        return resolve_endpoint(value, environ)
    if isinstance(value, IceServer):
        return _resolved_server(value, environ)
    if isinstance(value, msgspec.Struct):
        fields = {
            field: _resolved(getattr(value, field), environ, host)
            for field in value.__struct_fields__
        }
        return msgspec.structs.replace(value, **fields)
    return value


def _resolved_server(server: IceServer, environ: Mapping[str, str]) -> IceServer:
    urls = [server.urls] if isinstance(server.urls, str) else server.urls
    credentials = [server.username, server.credential]
    username, credential = credentials
    for url in urls:
        username, credential = resolve(credentials, environ, ice_host(url))
    return msgspec.structs.replace(server, username=username, credential=credential)


def ice_host(url: str) -> str:
    """The host of `turn:host:3478?transport=udp` (RFC 7065) or `stun:host` (RFC 7064)."""
    place = url.split(":", 1)[-1].split("?", 1)[0]
    if place.startswith("["):
        return place[1:].split("]", 1)[0]
    return place.split(":", 1)[0]


def _value_of(name: str, environ: Mapping[str, str], host: str | None) -> str:
    held_in = variable(name)
    if not SECRET_NAME.fullmatch(name) or name.endswith(HOSTS_SUFFIX):
        raise _missing("a reference in the plan is not a secret's name")
    value = environ.get(held_in)
    if value is None:
        raise _missing(f"{held_in} is not set")
    if not value:
        raise _missing(f"{held_in} is empty")
    bound = environ.get(held_in + HOSTS_SUFFIX)
    if bound is not None and not (host and _host(host) in map(_host, bound.split(","))):
        raise _missing(
            f"{held_in} may not be sent to {host or 'an unnamed host'}: see {held_in}{HOSTS_SUFFIX}"
        )
    return value


def _host(text: str) -> str:
    return text.strip().strip("[]").rstrip(".").lower()


def _missing(detail: str) -> CallFailure:
    return CallFailure(EndedReason.SECRET_MISSING, Step.CREDENTIALS, detail)
