"""Pipecat's data channel, read: RTVI messages in, `Reported` out. Knows no WebRTC and no clock.

Takes protocols 1 and 2 and ignores what it does not know; evidence is never required. Owns which
message counts as what the agent *said*: text that was played (`bot-output`, completed), never text
that a language model only produced. The reports' `at_ms` is 0 here: the call knows when it is.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec

from shared.result import Reported

MAX_MESSAGE_BYTES: Final = 64 * 1024
_MAX_TEXT = 4000
_MAX_SEGMENTS = 64
_LABEL = "rtvi-ai"
_PROTOCOL = "2.1.0"
_SENTENCE_ENDS = (".", "!", "?", "\u2026", "\u3002", "\uff01", "\uff1f")
_EVENTS = frozenset(
    {
        "bot-ready",
        "bot-started-speaking",
        "bot-stopped-speaking",
        "bot-interrupted",
        "user-started-speaking",
        "user-stopped-speaking",
    }
)
_PHRASE_ENDS = frozenset({"bot-tts-stopped", "bot-stopped-speaking", "bot-interrupted"})


class PeerLeft(msgspec.Struct, frozen=True):
    """Pipecat's `signalling` message that the bot has ended the call."""


Heard = Reported | PeerLeft


def client_ready() -> str:
    """The message that asks an RTVI agent for `bot-ready`; many greet on it."""
    message = {
        "label": _LABEL,
        "type": "client-ready",
        "id": "phonebank-1",
        "data": {"version": _PROTOCOL, "about": {"library": "phonebank"}},
    }
    return msgspec.json.encode(message).decode()


class Rtvi:
    """Reads one connection's messages in order. `ignored` counts what was no use or nonsense."""

    def __init__(self) -> None:
        self.ignored = 0
        self._has_output = False
        self._segments: dict[str, str] = {}
        self._words: list[str] = []
        self._unpaired: dict[str, deque[str]] = {
            "user-transcription": deque(maxlen=8),
            "user-input": deque(maxlen=8),
        }

    def read(self, message: str | bytes) -> list[Heard]:
        """What a message says; an empty list for most. Never raises."""
        if len(message) > MAX_MESSAGE_BYTES:
            return self._ignore()
        try:
            tree = msgspec.json.decode(message)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return self._ignore()
        if not isinstance(tree, dict):
            return self._ignore()
        if tree.get("type") == "signalling":
            inner = tree.get("message")
            left = isinstance(inner, dict) and inner.get("type") == "peerLeft"
            return [PeerLeft()] if left else []
        kind = tree.get("type")
        if tree.get("label") != _LABEL or not isinstance(kind, str):
            return self._ignore()
        data = tree.get("data")
        return self._rtvi(kind, data if isinstance(data, dict) else {})

    def _ignore(self) -> list[Heard]:
        self.ignored += 1
        return []

    def _rtvi(self, kind: str, data: dict[str, Any]) -> list[Heard]:
        found: list[Heard] = []
        if kind == "bot-output":
            found += self._output(data)
        elif kind == "bot-tts-text":
            if not self._has_output:  # deprecated twin of bot-output: one of them is enough
                found += self._word(_text(data.get("text")))
        elif kind in self._unpaired:
            found += self._transcript(kind, data)
        elif kind.startswith("llm-function-call"):
            found.append(_reported("tool_call", _tool_call(kind, data)))
        elif kind in {"error", "error-response"}:
            found.append(_reported("error", _text(data.get("error")) or kind))
        if kind in _PHRASE_ENDS:
            found += self._phrase()
        if kind == "bot-interrupted":
            found += self._cut_segments()
        if kind in _EVENTS:
            found.append(_reported("event", kind))
        return found

    def _output(self, data: dict[str, Any]) -> list[Heard]:
        self._has_output = True
        text = _text(data.get("text"))
        status = data.get("spoken_status")
        if status is None:  # protocol 1: spoken or not, word by word or by sentence
            if data.get("spoken") is not True:
                return []
            return self._word(text) if data.get("aggregated_by") == "word" else _said(text)
        segment = str(data.get("segment_id"))
        if status == "completed":
            self._segments.pop(segment, None)
            return _said(text) if data.get("will_be_spoken") is not False else []
        progress = data.get("spoken_progress")
        if status == "in-progress" and isinstance(progress, dict):
            self._segments[segment] = _text(progress.get("accumulated_text"))
            while len(self._segments) > _MAX_SEGMENTS:
                self._segments.pop(next(iter(self._segments)))
        return []

    def _word(self, text: str) -> list[Heard]:
        """Voices with word timing report each word; a phrase is what others compare with."""
        if text:
            self._words.append(text)
        if text.endswith(_SENTENCE_ENDS) or sum(map(len, self._words)) > _MAX_TEXT:
            return self._phrase()
        return []

    def _phrase(self) -> list[Heard]:
        words, self._words = self._words, []
        return _said(" ".join(words))

    def _cut_segments(self) -> list[Heard]:
        """An interrupted segment never completes: what was played of it is its last progress."""
        cut, self._segments = self._segments, {}
        return [report for text in cut.values() for report in _said(text)]

    def _transcript(self, kind: str, data: dict[str, Any]) -> list[Heard]:
        """New servers report one recognition twice, as `user-transcription` and `user-input`."""
        text = _text(data.get("text"))
        if data.get("final") is False or data.get("input_type") == "chat" or not text:
            return []
        mine, other = ("user-transcription", "user-input")
        if kind == other:
            mine, other = other, mine
        known = list(self._unpaired[other])
        for count in range(1, len(known) + 1):
            if _same(" ".join(known[-count:]), text):
                for _ in range(count):
                    self._unpaired[other].pop()
                return []
        self._unpaired[mine].append(text)
        return [_reported("heard", text)]


def _reported(kind: str, text: str) -> Reported:
    return Reported(at_ms=0.0, kind=kind, text=text[:_MAX_TEXT])


def _said(text: str) -> list[Heard]:
    return [_reported("said", text)] if text else []


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _same(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()


def _tool_call(kind: str, data: dict[str, Any]) -> str:
    """`started book_table {"party":2}`: phase, name or id, then arguments or result as JSON."""
    phase = kind.removeprefix("llm-function-call").lstrip("-") or "called"
    name = _text(data.get("function_name")) or _text(data.get("tool_call_id")) or "unnamed"
    parts = [phase, name]
    for key in ("arguments", "args", "result"):
        if data.get(key) not in (None, "", {}):
            parts.append(msgspec.json.encode(data[key]).decode())
            break
    return " ".join(parts)
