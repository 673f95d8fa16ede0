"""Which transport an agent is called through. The only place that knows all of them."""

from __future__ import annotations

from shared.agent import Agent
from shared.http import Http
from worker.transports.smallwebrtc.transport import SmallWebRTCTransport
from worker.transports.transport import Transport


def open_transport(
    agent: Agent, *, connect_s: float, tell_agent: dict[str, str], http: Http
) -> Transport:
    """A transport for one call to `agent`, whose secrets are resolved; nothing is connected yet."""
    return SmallWebRTCTransport(
        agent.smallwebrtc, connect_s=connect_s, tell_agent=tell_agent, http=http
    )
