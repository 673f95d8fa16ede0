"""What the agent tells over the data channel: RTVI 2.2 events and Pipecat's `peerLeft`.

Owns the messages and their order; refuses to decide when something happened. RTVI is what Pipecat
bots speak: https://docs.pipecat.ai/client/rtvi-standard.
"""

from __future__ import annotations

import json
import uuid
from collections import deque
from typing import Any

from aiortc import RTCDataChannel

PROTOCOL = "2.2.0"
KEPT = 50
"""Messages kept for a channel that is not open yet, as in Pipecat."""


class Rtvi:
    """The agent's end of the data channel; silent for callers that open none."""

    def __init__(self) -> None:
        self._channel: RTCDataChannel | None = None
        self._waiting: deque[str] = deque(maxlen=KEPT)
        self._segment = 0

    def open(self, channel: RTCDataChannel) -> None:
        """Talk over this channel, beginning with what was said before it opened."""
        self._channel = channel
        channel.on("message", self._hear)
        while self._waiting:
            channel.send(self._waiting.popleft())

    def bot_starts(self, text: str) -> None:
        """The agent's audio of this text begins."""
        self._segment += 1
        self._event("bot-started-speaking")
        self._output(text, "new")

    def bot_stops(self, text: str, *, heard_out: bool) -> None:
        """The audio of this text has ended, by itself or cut by the caller."""
        if heard_out:
            self._output(text, "completed")
        else:
            self._event("bot-interrupted")
        self._event("bot-stopped-speaking")

    def user(self, *, speaking: bool) -> None:
        """The caller began or stopped to speak, as the agent's ears have it."""
        self._event("user-started-speaking" if speaking else "user-stopped-speaking")

    def leave(self) -> None:
        """The agent hangs up."""
        self._send({"type": "signalling", "message": {"type": "peerLeft"}})

    def _hear(self, message: object) -> None:
        try:
            heard = json.loads(message) if isinstance(message, str) else None
        except ValueError:
            return  # Pipecat's clients also send bare "ping: ..." lines
        if isinstance(heard, dict) and heard.get("type") == "client-ready":
            capabilities = {"audio_in": True, "audio_out": True, "video_in": False}
            about = {"library": "phonebank-example-agent"}
            ready = {"version": PROTOCOL, "about": about, "capabilities": capabilities}
            self._event("bot-ready", ready, str(heard.get("id", "")))

    def _output(self, text: str, status: str) -> None:
        output = {"text": text, "aggregated_by": "sentence", "segment_id": self._segment}
        self._event("bot-output", {**output, "will_be_spoken": True, "spoken_status": status})

    def _event(self, kind: str, data: dict[str, Any] | None = None, to: str = "") -> None:
        event = {"label": "rtvi-ai", "type": kind, "id": to or uuid.uuid4().hex[:8]}
        self._send(event if data is None else {**event, "data": data})

    def _send(self, message: dict[str, Any]) -> None:
        text = json.dumps(message)
        if self._channel is None:
            self._waiting.append(text)
        elif self._channel.readyState == "open":
            self._channel.send(text)
