"""Every key is declared with its type and life, in Python and Lua alike."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from shared.errors import CommandError, StateError
from shared.state.keys import CALL, CLAIM_MS, LEASE_MS, RETRIES, TABLE, lua_names
from shared.state.redis import ask, connect
from shared.state.scripts import script
from tests.integration.state.conftest import undeclared_lives


async def test_lua_spells_names_as_python_does(redis: Redis) -> None:
    """The functions sent with each script make the very names of `Key.at`."""
    source = f"{lua_names()}\nreturn {{call_key('r', 7), retries_key('r', 2), LIFE_S.call}}"
    call, retries, life_s = await redis.eval(source, 0)  # type: ignore[misc]
    assert call.decode() == CALL.at("r", 7)
    assert retries.decode() == RETRIES.at("r", 2)
    assert life_s == CALL.life_s


def test_no_name_is_of_two_kinds() -> None:
    """A key found in Redis belongs to one line of the table."""
    for key in TABLE:
        parts = ["p"] * key.pattern.count("{")
        assert [other.name for other in TABLE if other.matches(key.at(*parts))] == [key.name]


async def test_a_key_without_a_life_is_found_out(redis: Redis) -> None:
    """The watch over this folder's tests sees unknown keys, wrong types and endless lives."""
    await ask(redis, "SET", "phonebank:surprise", "1")
    await ask(redis, "SET", CALL.at("r", 1), "1", "EX", 5)
    await ask(redis, "HSET", CALL.at("r", 2), "attempt", "1")
    assert len(await undeclared_lives(redis)) == 3
    await redis.flushall()


async def test_a_script_survives_a_server_that_forgot_it(redis: Redis) -> None:
    """Its text is sent again."""
    await ask(redis, "SCRIPT FLUSH")
    assert await script("cancel_run")(redis, "nobody") == 0


async def test_an_unreachable_redis_is_a_state_error() -> None:
    """Never an error of the client library, never a hang."""
    nowhere = connect("unix:///nonexistent/socket")
    with pytest.raises(StateError):
        await ask(nowhere, "PING")
    with pytest.raises(StateError):
        await script("cancel_run")(nowhere, "r")
    await nowhere.aclose()


def test_a_url_of_another_kind_is_refused_by_name() -> None:
    """The variable to correct is named, the URL (which may hold a password) is not printed."""
    with pytest.raises(CommandError, match="PHONEBANK_REDIS_URL") as refusal:
        connect("h://:secret@127.0.0.1")
    assert "secr" not in str(refusal.value)


def test_a_lease_outlives_a_claim() -> None:
    """Unclaimed work comes back before lost work does."""
    assert CLAIM_MS < LEASE_MS
