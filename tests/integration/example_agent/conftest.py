"""One healthy agent for all tests of this folder, and media on 127.0.0.1 alone."""

from __future__ import annotations

from collections.abc import Iterator

import aioice.ice
import pytest

from tests.integration.example_agent.agent_process import AgentProcess, running_agent


@pytest.fixture(scope="session")
def agent() -> Iterator[AgentProcess]:
    with running_agent() as running:
        yield running


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.1"])
