"""Whether an SDP answer can be used, judged before anything acts on it. Opens no connection.

Pipecat answers nonsense with 200 and no media section, so a status says nothing. The answer comes
from a stranger: its size, sections and candidates are bounded.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiortc.sdp import SessionDescription

from shared.call import EndedReason, Step
from shared.errors import CallFailure
from shared.http import AnswerBrokenError, HttpAnswer

MAX_ANSWER_BYTES: Final = 1_000_000
_MAX_SECTIONS: Final = 8
_MAX_CANDIDATES: Final = 100
_MAX_ID: Final = 200


class Answer(msgspec.Struct, frozen=True):
    """A usable answer; `pc_id` is empty where the agent gave none."""

    sdp: str
    pc_id: str


def read_answer(answer: HttpAnswer) -> Answer:
    """The SDP answer in a 2xx answer to an offer.

    Raises `CallFailure`: ANSWER_INVALID for what cannot be used at all, ANSWER_WITHOUT_AUDIO where
    no audio section sends.
    """
    try:
        tree = answer.json()
    except AnswerBrokenError as error:
        raise _invalid(str(error)) from error
    if not isinstance(tree, dict):
        raise _invalid("the answer is not a JSON object")
    if tree.get("type") != "answer":
        raise _invalid("its `type` is not `answer`")
    sdp = tree.get("sdp")
    if not isinstance(sdp, str):
        raise _invalid("it has no `sdp`")
    _judge(sdp)
    pc_id = tree.get("pc_id")
    return Answer(sdp, pc_id[:_MAX_ID] if isinstance(pc_id, str) else "")


def _judge(sdp: str) -> None:
    try:
        session = SessionDescription.parse(sdp)
    except (ValueError, AssertionError, LookupError, AttributeError, TypeError) as error:
        # aiortc's parser asserts and unpacks as it goes; each of these is its word for nonsense.
        raise _invalid("its `sdp` cannot be parsed") from error
    audio = [media for media in session.media if media.kind == "audio"]
    if not any(m.port and m.direction in {None, "sendrecv", "sendonly"} for m in audio):
        what = f"audio is {audio[0].direction or 'rejected'}" if audio else "no m=audio"
        raise CallFailure(EndedReason.ANSWER_WITHOUT_AUDIO, Step.SIGNALLING, what)
    if not any(codec.mimeType.lower() == "audio/opus" for m in audio for codec in m.rtp.codecs):
        raise _invalid("its audio is not Opus")
    if len(session.media) > _MAX_SECTIONS:
        raise _invalid(f"it has {len(session.media)} media sections")
    if any(len(media.ice_candidates) > _MAX_CANDIDATES for media in session.media):
        raise _invalid("it has too many ICE candidates")


def _invalid(detail: str) -> CallFailure:
    return CallFailure(EndedReason.ANSWER_INVALID, Step.SIGNALLING, detail)
