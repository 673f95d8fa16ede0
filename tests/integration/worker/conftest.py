"""A real Valkey under the parts of a worker that talk to it."""

from __future__ import annotations

from tests.integration.state.conftest import redis, valkey_url

__all__ = ["redis", "valkey_url"]  # fixtures of the state tests, used here as well
