"""Secrets resolve where a call starts, go only where they may, and leave no trace in texts."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.agent import IceServer, SmallWebRTC
from shared.call import EndedReason, Step
from shared.errors import CallFailure
from shared.secrets import (
    Redactor,
    embedded_environ,
    names_in,
    resolve,
    resolve_endpoint,
    secret_values,
)

ENVIRON = {
    "PHONEBANK_SECRET_TOKEN": "s3cr3t-${KEY}",
    "PHONEBANK_SECRET_TURN": "t0rn",
    "PHONEBANK_SECRET_TURN_HOSTS": "turn.example, other.example",
    "PHONEBANK_SECRET_EMPTY": "",
    "PATH": "/bin",
    "TOKEN": "not this one",
}


def test_references_are_filled_at_any_depth() -> None:
    """The same shape comes back; what a value holds is not looked into again."""
    value = {"a": ["Bearer ${TOKEN}", 1, None], "b": {"c": "$5 ${TURN}"}}
    assert names_in(value) == {"TOKEN", "TURN"}
    assert resolve(value, ENVIRON, "turn.example") == {
        "a": ["Bearer s3cr3t-${KEY}", 1, None],
        "b": {"c": "$5 t0rn"},
    }


@pytest.mark.parametrize(
    ("text", "host", "words"),
    [
        ("${MISSING}", "a", "PHONEBANK_SECRET_MISSING is not set"),
        ("${EMPTY}", "a", "PHONEBANK_SECRET_EMPTY is empty"),
        ("${PATH}", "a", "PHONEBANK_SECRET_PATH is not set"),
        ("${TURN}", "evil.example", "may not be sent to evil.example"),
        ("${TURN}", "turn.example.evil", "may not be sent"),
        ("${TURN}", None, "may not be sent"),
        ("${TURN_HOSTS}", "turn.example", "not a secret's name"),
    ],
)
def test_what_cannot_be_resolved_ends_the_call(text: str, host: str | None, words: str) -> None:
    """The variable is named, its value never."""
    with pytest.raises(CallFailure, match=words) as caught:
        resolve({"h": text}, ENVIRON, host)
    assert caught.value.ended_reason is EndedReason.SECRET_MISSING
    assert caught.value.step is Step.CREDENTIALS
    assert "t0rn" not in str(caught.value)


def test_an_endpoint_is_bound_to_every_host_it_reaches() -> None:
    """Headers go to the start and the offer host; ICE credentials to their server's host."""
    server = IceServer(urls="turn:TURN.example.:3478?transport=udp", credential="${TURN}")
    endpoint = SmallWebRTC(offer_url="http://a.example/", ice_servers=[server])
    resolved = resolve_endpoint(endpoint, ENVIRON)
    assert resolved.ice_servers[0].credential == "t0rn"
    assert resolve(endpoint, ENVIRON, "a.example") == resolved
    split = SmallWebRTC(
        start_url="http://turn.example/start",
        offer_url="http://evil.example/{session_id}",
        headers={"A": "${TURN}"},
    )
    with pytest.raises(CallFailure, match=r"evil\.example"):
        resolve_endpoint(split, ENVIRON)


def test_a_line_break_never_reaches_a_header() -> None:
    """A secret file's last newline would split the request."""
    endpoint = SmallWebRTC(offer_url="http://a/", headers={"A": "${X}"})
    with pytest.raises(CallFailure, match="line break"):
        resolve_endpoint(endpoint, {"PHONEBANK_SECRET_X": "abc\n"})


def test_the_embedded_fleet_sees_only_the_plans_names() -> None:
    """From the submitter's environment, with or without the prefix."""
    environ = ENVIRON | {"KEY": "k", "OTHER": "o"}
    assert embedded_environ({"KEY", "TOKEN", "TURN", "NONE"}, environ) == {
        "PHONEBANK_SECRET_KEY": "k",
        "PHONEBANK_SECRET_TOKEN": "s3cr3t-${KEY}",
        "PHONEBANK_SECRET_TURN": "t0rn",
        "PHONEBANK_SECRET_TURN_HOSTS": "turn.example, other.example",
    }
    assert secret_values({"TURN", "NONE"}, ENVIRON) == {"TURN": "t0rn"}


AWKWARD = 'pä"ss/w+o=rd\\&<>'


@pytest.mark.parametrize(
    "echo",
    [
        AWKWARD,
        json.dumps(AWKWARD),
        json.dumps(AWKWARD, ensure_ascii=False),
        json.dumps(json.dumps({"a": AWKWARD})),
        json.dumps(AWKWARD).replace("/", "\\/"),
        quote(AWKWARD),
        quote(AWKWARD, safe=""),
        quote(AWKWARD, safe="").lower().replace("p%c3", "p%c3"),
        quote_plus(AWKWARD),
        base64.b64encode(AWKWARD.encode()).decode(),
        base64.urlsafe_b64encode(AWKWARD.encode()).decode().rstrip("="),
    ],
)
def test_encoded_echoes_are_redacted(echo: str) -> None:
    """In every form in which it may come back."""
    redacted = Redactor({"PW": AWKWARD}).redact(f"said <{echo}> twice {echo}")
    assert redacted.count("[PW]") == 2
    assert "rd" not in redacted.replace("[PW]", "")


@given(st.binary(max_size=7), st.text("abcXYZ019-_", min_size=12), st.binary(max_size=7))
def test_base64_of_a_longer_text_is_redacted(before: bytes, value: str, after: bytes) -> None:
    """Basic credentials hold a secret at any offset."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + value.encode() + after).decode()
        assert "[X]" in Redactor({"X": value}).redact(text)


@given(
    st.dictionaries(st.sampled_from("ABC"), st.text(min_size=4, max_size=30)),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_no_value_survives(values: dict[str, str], before: str, after: str) -> None:
    """Whatever the values hold, none is left in a text that had one."""
    redactor = Redactor(values)
    for name, value in values.items():
        redacted = redactor.redact(f"{before}\x00{value}\x00{after}")
        assert f"\x00{value}\x00" not in redacted
        assert any(f"[{known}]" in redacted for known in values), name


def test_the_longest_value_wins_and_short_ones_are_left() -> None:
    """A secret inside another leaves no rest; three letters are in every text."""
    redactor = Redactor({"A": "abcd", "B": "abcdefgh", "C": "the"})
    assert redactor.redact("abcdefgh abcd the") == "[B] [A] the"
    assert Redactor({}).redact("the") == "the"


@pytest.mark.parametrize("value", ["Bearer tok-12345", "bearer  tok-12345 ", "Token tok-12345"])
def test_what_follows_a_scheme_is_a_secret_too(value: str) -> None:
    """And the scheme's own name is not."""
    redacted = Redactor({"T": value}).redact("Bearer is a word, tok-12345 is not")
    assert redacted == "Bearer is a word, [T] is not"


def test_basic_credentials_hide_their_password() -> None:
    """The password inside the base64 counts as well."""
    value = "Basic " + base64.b64encode(b"user:hunter22").decode()
    assert Redactor({"T": value}).redact("pw hunter22") == "pw [T]"


def test_a_secret_that_was_cut_off_is_redacted_as_far_as_it_is_there() -> None:
    """Texts of agents are shortened: what begins a secret at the end goes too."""
    redactor = Redactor({"TOKEN": "abcdefgh-12345"})
    assert redactor.redact("you sent abcdefgh-1", cut=True) == "you sent [TOKEN]"
    assert redactor.redact("you sent abcd", cut=True) == "you sent [TOKEN]"
    assert redactor.redact("you sent abc", cut=True) == "you sent abc"
    assert redactor.redact("you sent abcdefgh-1") == "you sent abcdefgh-1"
    assert redactor.redact("abcdefgh-12345 abcdefg", cut=True) == "[TOKEN] [TOKEN]"


def test_a_secret_is_found_after_its_spaces_were_folded() -> None:
    """Texts of agents are kept on one line."""
    redactor = Redactor({"TOKEN": "first  part\n\tsecond"})
    assert redactor.redact("it is first part second.") == "it is [TOKEN]."
