"""Which answers to an offer can be used."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

from shared.call import EndedReason, Step
from shared.errors import CallFailure
from shared.http import HttpAnswer
from worker.transports.smallwebrtc.answer import read_answer

AUDIO = """v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=sendrecv
a=mid:0
a=rtcp-mux
a=rtpmap:96 opus/48000/2
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuv
a=fingerprint:sha-256 AA:BB
a=setup:active
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:1
a=sctp-port:5000
""".replace("\n", "\r\n")


def answer(**changes: Any) -> HttpAnswer:
    tree = {"type": "answer", "sdp": AUDIO, "pc_id": "pc-1"} | changes
    return HttpAnswer(200, json.dumps(tree).encode())


def reason_for(found: HttpAnswer) -> EndedReason:
    with pytest.raises(CallFailure) as failure:
        read_answer(found)
    assert failure.value.step == Step.SIGNALLING
    assert len(failure.value.detail) <= 300
    return failure.value.ended_reason


@pytest.mark.parametrize("direction", ["sendrecv", "sendonly"])
def test_an_answer_that_sends_audio_is_taken(direction: str) -> None:
    """SDP and pc_id come back as they were given."""
    sdp = AUDIO.replace("sendrecv", direction)
    found = read_answer(answer(sdp=sdp))
    assert (found.sdp, found.pc_id) == (sdp, "pc-1")


def test_pc_id_is_optional_and_bounded() -> None:
    """A missing or odd pc_id is none; a long one is cut."""
    assert read_answer(answer(pc_id=None)).pc_id == ""
    assert read_answer(answer(pc_id=7)).pc_id == ""
    assert len(read_answer(answer(pc_id="x" * 5000)).pc_id) == 200


@pytest.mark.parametrize(
    "sdp",
    [
        AUDIO.replace("sendrecv", "recvonly"),
        AUDIO.replace("sendrecv", "inactive"),
        AUDIO.replace("m=audio 9 ", "m=audio 0 "),
        AUDIO[: AUDIO.index("m=audio")],
    ],
    ids=["recvonly", "inactive", "rejected", "missing"],
)
def test_audio_that_does_not_send_is_named(sdp: str) -> None:
    """Nothing would ever be heard."""
    assert reason_for(answer(sdp=sdp)) == EndedReason.ANSWER_WITHOUT_AUDIO


@pytest.mark.parametrize(
    "found",
    [
        HttpAnswer(200, b""),
        HttpAnswer(200, b"<html>"),
        HttpAnswer(200, b"[]"),
        HttpAnswer(200, b"[" * 50_000),
        answer(type="offer"),
        answer(type=None),
        answer(sdp=None),
        answer(sdp=7),
        answer(sdp=AUDIO.replace("opus/48000/2", "PCMU/8000")),
        answer(sdp=AUDIO.replace("m=audio 9 UDP", "m=audio nine UDP")),
        answer(sdp=AUDIO.replace("setup:active", "setup:nonsense")),
        answer(sdp=AUDIO.replace("rtpmap:96 opus/48000/2", "rtpmap:96")),
        answer(sdp=AUDIO + "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\n" * 50),
        answer(
            sdp=AUDIO.replace(
                "a=mid:0\r\n",
                "a=mid:0\r\n" + "a=candidate:1 1 udp 1 127.0.0.1 1 typ host\r\n" * 200,
            )
        ),
    ],
    ids=range(14),
)
def test_nonsense_is_invalid(found: HttpAnswer) -> None:
    """Whatever is not a usable SDP answer is called so."""
    assert reason_for(found) == EndedReason.ANSWER_INVALID


def test_any_cut_of_an_answer_is_judged() -> None:
    """An answer torn anywhere leads to a verdict, never to another exception."""
    for length in range(0, len(AUDIO), 3):
        with contextlib.suppress(CallFailure):
            read_answer(answer(sdp=AUDIO[:length]))
