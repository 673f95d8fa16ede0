"""What happens to a caller and what it does about it. Owns the shapes, decides nothing.

Every `at_ms` counts milliseconds from the moment the call's media connected.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from shared.call import EndedReason
from worker.caller.script import Speech
from worker.media.caller_turn import CallerTurnKind


class State(StrEnum):
    """What the caller is doing; the rules stand in `worker.caller.turns`."""

    CONNECTING = "connecting"
    LISTENING = "listening"
    ENDPOINTING = "endpointing"
    THINKING = "thinking"
    INTERRUPTING = "interrupting"
    SPEAKING = "speaking"
    YIELDING = "yielding"
    SILENT = "silent"
    LEAVING = "leaving"
    ENDED = "ended"


class Connected(msgspec.Struct, frozen=True, gc=False):
    """Media flows both ways; the script begins."""

    at_ms: float


class AgentStarted(msgspec.Struct, frozen=True, gc=False):
    """The agent became audible at `at_ms`."""

    at_ms: float


class AgentStopped(msgspec.Struct, frozen=True, gc=False):
    """The agent was last audible at `at_ms`; said later, when the silence is certain."""

    at_ms: float


class AgentText(msgspec.Struct, frozen=True, gc=False):
    """The agent reported words of its own."""

    at_ms: float
    text: str


class PlayoutEnded(msgspec.Struct, frozen=True, gc=False):
    """The last packet of what was being played has been sent."""

    at_ms: float


class AgentLeft(msgspec.Struct, frozen=True, gc=False):
    """The agent ended the call."""

    at_ms: float
    detail: str = ""


class Tick(msgspec.Struct, frozen=True, gc=False):
    """Time passed."""

    at_ms: float


Event = Connected | AgentStarted | AgentStopped | AgentText | PlayoutEnded | AgentLeft | Tick


class Play(msgspec.Struct, frozen=True, gc=False):
    """Start saying `speech` with the next frame. Never given while something is being played."""

    speech: Speech
    kind: CallerTurnKind
    over_agent: bool
    """The agent was speaking at that moment."""
    again: bool = False
    """Said once before and cut."""


class StopPlaying(msgspec.Struct, frozen=True, gc=False):
    """Fall silent with the next frame."""


class HangUp(msgspec.Struct, frozen=True, gc=False):
    """End the call. Given once, and nothing after it."""

    ended_reason: EndedReason
    detail: str


Action = Play | StopPlaying | HangUp


class Note(msgspec.Struct, frozen=True, gc=False):
    """Something the agent made the caller do; decisions are what plan and seed made it do."""

    at_ms: float
    step: int
    what: str
