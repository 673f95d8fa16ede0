"""The identity of an endpoint: what two plans that call the same thing have in common."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

from shared.agent import Agent

_DEFAULT_PORTS = {"http": 80, "https": 443}


def endpoint_of(agent: Agent) -> str:
    """A hash of the endpoint's normalised URL, whatever the plan names the agent.

    Scheme and host in lower case, default port, fragment, credentials and a last slash dropped. A
    session endpoint is known by its start URL.
    """
    url = agent.smallwebrtc.start_url or agent.smallwebrtc.offer_url or ""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    port = parts.port or _DEFAULT_PORTS.get(scheme)
    place = f"{scheme}://{(parts.hostname or '').lower()}:{port}{parts.path.rstrip('/')}"
    if parts.query:
        place = f"{place}?{parts.query}"
    return hashlib.sha256(place.encode()).hexdigest()[:24]
