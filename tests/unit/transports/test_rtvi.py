"""What Pipecat's messages are taken to mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.result import Reported
from worker.transports.smallwebrtc.rtvi import PeerLeft, Rtvi, client_ready


def told(rtvi: Rtvi, kind: str, **data: Any) -> list[tuple[str, str]]:
    """Read one RTVI message and return (kind, text) of each report."""
    message = json.dumps({"label": "rtvi-ai", "type": kind, "id": "7", "data": data})
    reports = rtvi.read(message)
    assert all(isinstance(report, Reported) for report in reports)
    return [(r.kind, r.text) for r in reports if isinstance(r, Reported)]


def test_client_ready_is_an_rtvi_message() -> None:
    """The greeting carries label, type and a protocol version of the 2.x line."""
    message = json.loads(client_ready())
    assert (message["label"], message["type"]) == ("rtvi-ai", "client-ready")
    assert message["data"]["version"].startswith("2.")


def test_completed_output_is_said() -> None:
    """Protocol 2: only text that was played to its end counts as said."""
    rtvi = Rtvi()
    assert told(rtvi, "bot-output", text="Hello.", spoken_status="new", segment_id="1") == []
    done = told(rtvi, "bot-output", text=" Hello. ", spoken_status="completed", segment_id="1")
    assert done == [("said", "Hello.")]


def test_text_that_is_never_spoken_is_not_said() -> None:
    """Text mode output is shown, not heard."""
    data = {"text": "Hi.", "spoken_status": "completed", "will_be_spoken": False}
    assert told(Rtvi(), "bot-output", **data) == []


def test_interrupted_output_is_said_as_far_as_it_was_played() -> None:
    """A cut segment never completes: its last progress is what the caller heard."""
    rtvi = Rtvi()
    progress = {"accumulated_text": "We have a"}
    data = {"text": "We have a table.", "segment_id": "3", "spoken_status": "in-progress"}
    assert told(rtvi, "bot-output", **data, spoken_progress=progress) == []
    cut = told(rtvi, "bot-interrupted")
    assert cut == [("said", "We have a"), ("event", "bot-interrupted")]
    assert told(rtvi, "bot-interrupted") == [("event", "bot-interrupted")]


def test_protocol_1_output_counts_where_spoken() -> None:
    """Protocol 1 says `spoken` and may go word by word; words become a sentence."""
    rtvi = Rtvi()
    assert told(rtvi, "bot-output", text="Hello.", spoken=False) == []
    assert told(rtvi, "bot-output", text="Hello.", spoken=True) == [("said", "Hello.")]
    word = {"spoken": True, "aggregated_by": "word"}
    assert told(rtvi, "bot-output", text="See", **word) == []
    assert told(rtvi, "bot-output", text="you!", **word) == [("said", "See you!")]


def test_tts_text_is_the_fallback_of_old_servers() -> None:
    """Without any bot-output, spoken words are gathered until the voice stops."""
    rtvi = Rtvi()
    assert told(rtvi, "bot-tts-text", text="for") == []
    assert told(rtvi, "bot-tts-text", text="two") == []
    assert told(rtvi, "bot-tts-stopped") == [("said", "for two")]


def test_tts_text_beside_output_is_not_said_twice() -> None:
    """Current servers send both; one of them counts."""
    rtvi = Rtvi()
    told(rtvi, "bot-output", text="Hello.", spoken_status="new")
    assert told(rtvi, "bot-tts-text", text="Hello.") == []


@pytest.mark.parametrize(
    ("first", "second"),
    [("user-transcription", "user-input"), ("user-input", "user-transcription")],
)
def test_one_recognition_is_heard_once(first: str, second: str) -> None:
    """New servers report a recognition under two names, in either order."""
    rtvi = Rtvi()
    assert told(rtvi, first, text="A table.", final=True) == [("heard", "A table.")]
    assert told(rtvi, second, text="a  table.", final=True) == []
    assert told(rtvi, first, text="A table.", final=True) == [("heard", "A table.")]


def test_a_turn_of_several_recognitions_is_heard_once() -> None:
    """An input that joins recognitions already heard adds nothing."""
    rtvi = Rtvi()
    told(rtvi, "user-transcription", text="A table", final=True)
    told(rtvi, "user-transcription", text="for two.", final=True)
    assert told(rtvi, "user-input", text="A table for two.", final=True) == []


def test_unfinished_and_typed_input_is_not_heard() -> None:
    """Partial recognitions and chat messages are not what the agent heard."""
    rtvi = Rtvi()
    assert told(rtvi, "user-transcription", text="A", final=False) == []
    assert told(rtvi, "user-input", text="A", final=True, input_type="chat") == []


def test_tool_calls_errors_and_events_are_told() -> None:
    """The rest of the evidence, each under its kind."""
    rtvi = Rtvi()
    call = {"function_name": "book", "arguments": {"party": 2}}
    assert told(rtvi, "llm-function-call-in-progress", **call) == [
        ("tool_call", 'in-progress book {"party":2}')
    ]
    assert told(rtvi, "llm-function-call-started", tool_call_id="x") == [("tool_call", "started x")]
    assert told(rtvi, "error", error="no voice", fatal=True) == [("error", "no voice")]
    assert told(rtvi, "error-response", error="what?") == [("error", "what?")]
    assert told(rtvi, "bot-ready", version="2.2.0") == [("event", "bot-ready")]
    assert told(rtvi, "user-started-speaking") == [("event", "user-started-speaking")]


def test_peer_left_is_understood() -> None:
    """Pipecat's goodbye is a signalling message, not an RTVI one."""
    message = json.dumps({"type": "signalling", "message": {"type": "peerLeft"}})
    assert Rtvi().read(message) == [PeerLeft()]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "ping: 7",
        "[1]",
        "{}",
        '{"label":"rtvi-ai","type":7}',
        '{"label":"other","type":"error"}',
        b"\xff\xfe",
        "[" * 20_000,
        '{"label":"rtvi-ai","type":"error","data":{"error":"' + "x" * 70_000 + '"}}',
        '{"label":"rtvi-ai","type":"error","data":{"error":"\\ud800"}}',
    ],
    ids=lambda m: repr(m[:12]),
)
def test_nonsense_is_counted_and_ignored(message: str | bytes) -> None:
    """What cannot be understood does no harm."""
    rtvi = Rtvi()
    assert rtvi.read(message) == []
    assert rtvi.ignored == 1


@pytest.mark.parametrize("data", [None, 7, [], {"text": 7}, {"text": None, "spoken_status": 1}])
@pytest.mark.parametrize(
    "kind", ["bot-output", "bot-tts-text", "user-input", "bot-llm-text", "metrics", "new-thing"]
)
def test_odd_data_of_any_kind_does_no_harm(kind: str, data: object) -> None:
    """Unknown types and fields of another shape lead to no report."""
    message = json.dumps({"label": "rtvi-ai", "type": kind, "data": data})
    assert Rtvi().read(message) == []
