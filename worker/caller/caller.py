"""The caller on the line: binds turn taking to what is sent and heard, frame by frame.

Owns the conversion between clock and call time and the record of what the caller sounded like.
Refuses to decide anything (`worker.caller.turns`), to send, or to wait: every method is synchronous
and belongs to the event loop's thread.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from shared.persona import Persona
from shared.plan import Limits
from shared.result import CheckResult, Decision, Reported
from worker.caller.events import (
    Action,
    AgentLeft,
    AgentStarted,
    AgentStopped,
    AgentText,
    Connected,
    Event,
    HangUp,
    Note,
    Play,
    PlayoutEnded,
    StopPlaying,
    Tick,
)
from worker.caller.script import Script
from worker.caller.spoken import SpokenTurns
from worker.caller.turns import Turns
from worker.media.caller_turn import CallerTurn
from worker.media.clip import PACKET_MS, Clip
from worker.media.listener import Edge, Listener
from worker.media.speaker import Sending, Speaker
from worker.transports.transport import ReceivedPacket

log = structlog.get_logger()


class Caller:
    """One simulated person in one call.

    `clips` holds the sound of every request of the script (`Script.requests`) by the request's
    hash. Raises KeyError at once when one is missing. `listener` is what hears the agent.
    """

    def __init__(
        self,
        script: Script,
        clips: Mapping[str, Clip],
        persona: Persona,
        limits: Limits,
        listener: Listener | None = None,
    ) -> None:
        self._clips = {request.hash: clips[request.hash] for request in script.requests()}
        self._turns = Turns(script, persona, limits.first_audio_s, self._clips)
        self._speaker = Speaker(self._clips[script.bed.hash])
        self._listener = listener or Listener()
        self._spoken = SpokenTurns()
        self._connected_ns = 0
        self._frame_ms = 0.0
        self._notes_logged = 0

    @property
    def ended(self) -> HangUp | None:
        """Why the caller is done; None while it is not."""
        return self._turns.ended

    @property
    def has_heard_agent(self) -> bool:
        """The agent has been audible at least once."""
        return self._turns.has_heard_agent

    @property
    def agent_is_audible(self) -> bool:
        """The live detector hears the agent now."""
        return self._listener.speaking

    def connected(self, now_ns: int) -> None:
        """Media flows; `now_ns` is 0 ms of the call."""
        self._connected_ns = now_ns
        self._take(Connected(0.0))

    def frame(self, now_ns: int, skipped: int = 0) -> Sending:
        """The packet that passes the socket at `now_ns`; call once per 20 ms frame.

        `skipped` frames just before this one were never sent (a stall): what is being said loses
        as much, so that it ends when it would have ended.
        """
        if skipped:
            self._speaker.skip(skipped)
        self._frame_ms = self._at_ms(now_ns)
        self._hear(self._listener.tick(now_ns), now_ns)
        self._take(Tick(self._frame_ms))
        sending = self._speaker.next_packet()
        if sending.clip_hash is not None:
            self._spoken.sent(self._frame_ms, sending.position)
        if self._spoken.unfinished and not self._speaker.playing:
            ended_ms = self._frame_ms + PACKET_MS
            self._spoken.finish()
            self._take(PlayoutEnded(ended_ms))
        return sending

    def heard(self, packet: ReceivedPacket) -> None:
        """An audio packet of the agent arrived."""
        self._hear(self._listener.hear(packet), packet.arrived_ns)

    def reported(self, report: Reported) -> None:
        """The agent said something of itself; `report.at_ms` is call time."""
        if report.kind == "said":
            self._take(AgentText(report.at_ms, report.text))

    def agent_left(self, detail: str) -> None:
        """The agent ended the call; may be said more than once."""
        self._take(AgentLeft(self._frame_ms, detail))

    def caller_turns(self) -> list[CallerTurn]:
        """What the caller sounded like so far, in order; the unfinished one as far as it is out."""
        return self._spoken.turns()

    def decisions(self) -> list[Decision]:
        """What plan and seed made the caller do: chance first, then the lines said, in order."""
        return list(self._turns.decisions)

    def script_checks(self) -> list[CheckResult]:
        """One check for each `contains` of the script; ask when the call has ended."""
        return self._turns.checks()

    def notes(self) -> list[Note]:
        """What the agent made the caller do: yields, repeats, interruptions that came too late."""
        return list(self._turns.notes)

    def _at_ms(self, at_ns: int) -> float:
        return (at_ns - self._connected_ns) / 1e6

    def _hear(self, edge: Edge | None, now_ns: int) -> None:
        if edge is None:
            return
        at_ms = min(self._at_ms(edge.at_ns), self._at_ms(now_ns))
        self._take(AgentStarted(at_ms) if edge.kind == "started" else AgentStopped(at_ms))

    def _take(self, event: Event) -> None:
        for action in self._turns.handle(event):
            self._do(action)
        for note in self._turns.notes[self._notes_logged :]:
            self._notes_logged += 1
            log.debug("caller_note", at_ms=note.at_ms, step=note.step, what=note.what)

    def _do(self, action: Action) -> None:
        match action:
            case Play(speech=speech):
                clip = self._clips[speech.sound.hash]
                self._spoken.begin(action, clip)
                self._speaker.play(clip)
            case StopPlaying():
                self._speaker.stop()
                self._spoken.finish()
            case HangUp():
                log.debug("caller_hangs_up", reason=action.ended_reason)
