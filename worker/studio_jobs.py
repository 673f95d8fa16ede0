"""What the studio can be asked for, and what it answers. Owns the messages, does no work."""

from __future__ import annotations

import msgspec

from shared.result import Measures, Recording, Turn
from worker.media.caller_turn import CallerTurn
from worker.media.clip import Clip
from worker.media.sound import SoundRequest

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
LENGTH_BYTES = 4
"""Each message is preceded by its length, big-endian."""


class MakeClip(msgspec.Struct, frozen=True, kw_only=True, tag="make_clip"):
    """Make a request into a `Clip`."""

    request: SoundRequest
    assets: dict[str, str] = {}
    """A local file for each of `worker.media.sound.assets_of(request)`."""


class FinishCall(msgspec.Struct, frozen=True, kw_only=True, tag="finish_call"):
    """Write a call's recording and measure it. Answered with `Finished`."""

    spool: str
    """Path of the spool file."""
    folder: str
    """Existing folder for `recording.<format>`."""
    format: str
    """`opus`, `flac` or `wav`."""
    connected_ns: int
    ended_ns: int
    """Both on `worker.media.clock`."""
    caller_turns: list[CallerTurn] = []


Job = MakeClip | FinishCall


class Made(msgspec.Struct, frozen=True, kw_only=True, tag="made"):
    """The answer to `MakeClip`."""

    clip: Clip


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """The answer to `FinishCall`."""

    recording: Recording
    """`key` is the file's name within the folder."""
    turns: list[Turn]
    measures: Measures
    """Without what only the transport knows."""
    detector: str
    """What found the agent's speech."""
    caller_channel_ms: float | None = None
    agent_channel_ms: float | None = None
    """Lengths of the two channels, as far as packets and silence between them reach."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """A job that came to nothing; the studio lives on."""

    message: str
    job: str
    """The job's tag."""
    disk: bool = False
    """The disk refused, not the work: no file could be read or written."""


Answer = Made | Finished | Failed


class Asked(msgspec.Struct, frozen=True):
    """A job on the wire."""

    number: int
    job: Job


class Answered(msgspec.Struct, frozen=True):
    """An answer on the wire; `number` is that of the question."""

    number: int
    answer: Answer
