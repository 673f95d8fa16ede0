"""The system under test and its one endpoint: how a caller reaches it.

Owns the shape of an endpoint in a plan; refuses to know how a connection is made.
Strings may hold `${NAME}` secret references where `shared.secrets` says so; they are stored as
written.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

Url = Annotated[
    str,
    msgspec.Meta(pattern=r"^https?://", max_length=2048, description="http://host:port/path"),
]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]


class IceServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One STUN or TURN server, as in RFC 7064 and RFC 7065 URLs."""

    urls: str | list[str]
    username: str | None = None
    credential: str | None = None


class SmallWebRTC(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pipecat's SmallWebRTC: an SDP offer by HTTP POST, directly or after a `/start` request.

    Exactly one of `offer_url` alone (direct) or `start_url` (session) is given. With `start_url`
    the offer goes to `offer_url` with `{session_id}` replaced, by default to the start URL with
    its last `/start` replaced by `/sessions/{session_id}/api/offer`.
    """

    offer_url: Url | None = None
    start_url: Url | None = None
    start_body: dict[str, Any] = msgspec.field(default_factory=dict)
    """The `body` member of the start request."""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    request_data: dict[str, Any] = msgspec.field(default_factory=dict)
    ice_servers: list[IceServer] = msgspec.field(default_factory=list)
    ice: Literal["auto", "all"] = "auto"
    """`auto`: a loopback endpoint is met on 127.0.0.1 alone; `all`: every address of the host."""
    rtvi: Literal["auto", "off"] = "auto"


class Agent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One system under test. Limits hold over all runs of the fleet that call the same endpoint."""

    name: Name
    smallwebrtc: SmallWebRTC
    id: str | int | None = None
    max_concurrent: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    calls_per_second: Annotated[float, msgspec.Meta(ge=0.0001, le=1000)] | None = None
    """At least one call in 10 000 s: what keeps the pace lives for a day."""
