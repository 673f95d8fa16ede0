"""Names that point nowhere, duplicates and contradictions are refused before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from shared.plan_rules import DISTRIBUTIONS
from tests.unit.plan.plans import minimal, refused, small_plan

OFFER = "http://127.0.0.1:1/api/offer"


def _scenario(**changes: Any) -> dict[str, Any]:
    tree = minimal()
    tree["scenarios"][0] |= changes
    return tree


def _persona(**changes: Any) -> dict[str, Any]:
    tree = minimal()
    tree["personas"][0] |= changes
    return tree


def _endpoint(**endpoint: Any) -> dict[str, Any]:
    return minimal() | {"agents": [{"name": "a", "smallwebrtc": endpoint}]}


@pytest.mark.parametrize("section", ["agents", "personas", "scenarios"])
@pytest.mark.parametrize("field", ["name", "id"])
def test_names_and_ids_are_unique(section: str, field: str) -> None:
    """The path is that of the second one."""
    tree = minimal()
    (first,) = tree[section]
    second = {**first, "name": "other"}
    if field == "id":
        first["id"] = second["id"] = 5
    else:
        second["name"] = first["name"]
    tree[section] = [first, second]
    error = refused(tree)
    assert error.path == f"$.{section}[1].{field}"
    assert f"{section}[0]" in error.message


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"script": [{"say": "{{partyy}}"}]}, "script[0].say", "did you mean party?"),
        ({"script": [{"say_exactly": "{{x y}}"}]}, "script[0].say_exactly", "no variable's name"),
        ({"script": [{"say": "{{party"}]}, "script[0].say", "no variable's name"),
        ({"script": [{"say": "  "}]}, "script[0].say", "the text is empty"),
        (
            {"script": [{"wait_for_agent": {"contains": ["{{no}}"]}}]},
            "script[0].wait_for_agent.contains[0]",
            "the variable no is not defined",
        ),
        (
            {"checks": [{"agent_says": {"all": ["{{no}}"]}}]},
            "checks[0].agent_says.all[0]",
            "the variable no is not defined",
        ),
        ({"tell_agent": ["partyy"]}, "tell_agent[0]", "did you mean party?"),
        ({"tell_agent": ["party", "party"]}, "tell_agent[1]", "twice"),
        ({"variables": {"a b": 1}}, 'variables["a b"]', "not a variable's name"),
        ({"variables": {"a": True}}, "variables.a", "text"),
        ({"variables": {"a": [1]}}, "variables.a", "text"),
        ({"script": ["hang_up", {"say": "x"}]}, "script[1]", "never runs"),
        ({"script": [{"silence": 100}, {"silence": 80}]}, "script", "silent for 180 s"),
        ({"script": [{"play": "sha256:00"}]}, "script[0].play", "is not a file"),
        ({"script": []}, "script", "an empty list is not accepted here"),
    ],
)
def test_scenarios_hold_together(changes: dict[str, Any], path: str, words: str) -> None:
    """Variables are defined, files are files, steps can be reached."""
    error = refused(_scenario(**{"variables": {"party": "two"}, **changes}))
    assert error.path == f"$.scenarios[0].{path}"
    assert words in str(error)


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"endpoint_ms": 901}, "endpoint_ms", "at most reply_delay_ms (900)"),
        ({"reply_delay_ms": 300}, "endpoint_ms", "300 ms"),
        ({"noise": {}}, "noise", "exactly one of kind and clip"),
        ({"noise": {"kind": "hum", "clip": "a.wav"}}, "noise", "exactly one of kind and clip"),
        ({"noise": {"kind": "crowds"}}, "noise.kind", "did you mean crowd?"),
        ({"noise": {"clip": ""}}, "noise.clip", "is not a file"),
        ({"idle_prompts": ["{{x}}"]}, "idle_prompts[0]", "variables belong to scenarios"),
        ({"voice": "en us"}, "voice", "such as en-us"),
        ({"speaks_first": "me"}, "speaks_first", "agent, caller"),
        ({"channel": "phone"}, "channel", "not supported by this version"),
    ],
)
def test_personas_hold_together(changes: dict[str, Any], path: str, words: str) -> None:
    """A reply is never due before the turn counts as ended, a noise is one noise."""
    error = refused(_persona(**changes))
    assert error.path == f"$.personas[0].{path}"
    assert words in str(error)


@pytest.mark.parametrize(
    ("endpoint", "path", "words"),
    [
        ({}, "", "there is no URL to call"),
        ({"offer_url": "ftp://x/"}, ".offer_url", "such as http://host:port/path"),
        ({"offer_url": "http:///x"}, ".offer_url", "names no host"),
        ({"offer_url": "http://[::1"}, ".offer_url", "not a URL"),
        ({"offer_url": "http://x:99999/"}, ".offer_url", "not a URL"),
        ({"offer_url": "http://u:p@x/"}, ".offer_url", "credentials"),
        ({"offer_url": "http://x/#y"}, ".offer_url", "#fragment"),
        ({"offer_url": "http://x/ y"}, ".offer_url", "no spaces"),
        ({"offer_url": "http://x/{session_id}"}, ".offer_url", "needs a start_url"),
        ({"offer_url": OFFER, "start_body": {"a": 1}}, ".start_body", "sent nowhere"),
        ({"start_url": "http://x/begin"}, ".start_url", "cannot be told"),
        ({"start_url": "http://x/start", "offer_url": OFFER}, ".offer_url", "{session_id}"),
        (
            {"start_url": "http://x/start", "offer_url": "http://{session_id}.x/"},
            ".offer_url",
            "only after the host",
        ),
        ({"offer_url": OFFER, "headers": {"a b": "c"}}, '.headers["a b"]', "header's name"),
        ({"offer_url": OFFER, "headers": {"A": "b\nc"}}, ".headers.A", "printable"),
        ({"offer_url": OFFER, "headers": {"A": "b", "a": "c"}}, ".headers.a", "twice"),
        (
            {"offer_url": OFFER, "headers": {"Content-Length": "1"}},
            ".headers.Content-Length",
            "set by phonebank",
        ),
        (
            {"offer_url": OFFER, "ice_servers": [{"urls": "http://x"}]},
            ".ice_servers[0].urls",
            "is no ICE server",
        ),
        (
            {"offer_url": OFFER, "ice_servers": [{"urls": ["turn:x:3478"]}]},
            ".ice_servers[0]",
            "needs username and credential",
        ),
    ],
)
def test_endpoints_hold_together(endpoint: dict[str, Any], path: str, words: str) -> None:
    """Exactly one way to reach the agent, and nothing that would be sent nowhere."""
    error = refused(_endpoint(**endpoint))
    assert error.path == f"$.agents[0].smallwebrtc{path}"
    assert words in str(error)


SECRET = "${BOT_TOKEN}"


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        (minimal() | {"name": SECRET}, "$.name"),
        (minimal() | {"labels": {"a": SECRET}}, "$.labels.a"),
        (minimal() | {"labels": {SECRET: "a"}}, '$.labels["${BOT_TOKEN}"]'),
        (_scenario(script=[{"say": f"it is {SECRET}"}]), "$.scenarios[0].script[0].say"),
        (_scenario(variables={"a": SECRET}), "$.scenarios[0].variables.a"),
        (_persona(idle_prompts=[SECRET]), "$.personas[0].idle_prompts[0]"),
        (_endpoint(offer_url=f"http://x/{SECRET}"), "$.agents[0].smallwebrtc.offer_url"),
        (
            _endpoint(offer_url=OFFER, request_data={SECRET: 1}),
            '$.agents[0].smallwebrtc.request_data["${BOT_TOKEN}"]',
        ),
        (
            _endpoint(offer_url=OFFER, ice_servers=[{"urls": f"stun:{SECRET}"}]),
            "$.agents[0].smallwebrtc.ice_servers[0].urls",
        ),
    ],
)
def test_secrets_stand_only_where_they_are_sent(tree: dict[str, Any], path: str) -> None:
    """A reference anywhere else is refused at its own path."""
    error = refused(tree)
    assert error.path == path
    assert "only in headers" in str(error)


@pytest.mark.parametrize("written", ["${bot}", "${}", "${A B}", "${OPEN", "${X_HOSTS}", "${1A}"])
def test_secret_names_are_capitals(written: str) -> None:
    """A malformed reference is refused where references may stand."""
    error = refused(_endpoint(offer_url=OFFER, headers={"A": written}))
    assert error.path == "$.agents[0].smallwebrtc.headers.A"


def test_secrets_are_accepted_in_all_their_places() -> None:
    """Headers, request data at any depth, and ICE credentials; a lone $ is itself."""
    server = {"urls": "turn:x:1", "username": "${USER}", "credential": "${PASS}"}
    small_plan(
        agents=[
            {
                "name": "a",
                "smallwebrtc": {
                    "offer_url": OFFER,
                    "headers": {"Authorization": "Bearer ${TOKEN}", "X": "$5"},
                    "request_data": {"deep": [{"er": "${KEY_2}"}]},
                    "ice_servers": [server],
                },
            }
        ]
    )


def test_a_variable_never_replaces_what_the_endpoint_sends() -> None:
    """What travels under one name has one value."""
    tree = _endpoint(offer_url=OFFER, request_data={"tenant": "${TENANT}"})
    tree["scenarios"][0] |= {"variables": {"tenant": "x"}, "tell_agent": ["tenant"]}
    assert refused(tree).path == "$.scenarios[0].tell_agent[0]"


def test_the_number_of_calls_is_bounded() -> None:
    """An index stays exact in every language that reads it."""
    tree = minimal()
    tree["personas"] = [{"name": f"p{at}"} for at in range(200)]
    tree["scenarios"] = [{**tree["scenarios"][0], "name": f"s{at}"} for at in range(200)]
    assert refused(tree | {"repeat": 100_000_000}).path == "$.repeat"


def test_measures_with_a_value_per_turn_are_known() -> None:
    """Read off the result's own type."""
    assert {"response_latency_ms", "barge_in_stop_ms", "dead_air_ms"} == DISTRIBUTIONS
