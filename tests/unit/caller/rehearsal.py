"""Turn taking against an agent that speaks at given times, frame by frame, without audio.

Frames are 20 ms apart and the detector is as slow as the real one: that the agent stopped is known
200 ms after its last sound.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shared.persona import Persona
from shared.scenario import HangUp as HangUpStep
from shared.scenario import Say, Scenario, ScriptStep, WaitForAgent
from worker.caller.events import (
    AgentLeft,
    AgentStarted,
    AgentStopped,
    AgentText,
    Connected,
    Event,
    HangUp,
    Play,
    PlayoutEnded,
    StopPlaying,
    Tick,
)
from worker.caller.script import Script, compile_script
from worker.caller.turns import Turns
from worker.media.clip import Clip

FRAME_MS = 20
DETECTED_AFTER_MS = 200

CALM = Persona(name="calm")


class Said(msgspec.Struct, frozen=True):
    """One thing the caller began to say."""

    at_ms: float
    kind: str
    text: str | None
    over_agent: bool = False
    again: bool = False


def scenario(*steps: ScriptStep, **variables: str | float) -> Scenario:
    return Scenario(name="talk", script=list(steps), variables=variables)


def persona(**knobs: object) -> Persona:
    """The calm persona with these knobs turned, checked as a plan would be."""
    return msgspec.convert({"name": "calm", **knobs}, Persona)


def say(text: str, interrupt_after_ms: int | None = None) -> Say:
    return Say(text=text, interrupt_after_ms=interrupt_after_ms)


def wait(*contains: str) -> WaitForAgent:
    return WaitForAgent(contains=list(contains))


def hang_up() -> HangUpStep:
    return HangUpStep()


def clips_for(script: Script, length_ms: int, lead_ms: float = 0.0) -> dict[str, Clip]:
    """Clips of one length, audible from `lead_ms` to their end."""
    count = length_ms // FRAME_MS
    return {
        request.hash: Clip(request.hash, [b""] * count, bytes(count), lead_ms, float(length_ms))
        for request in script.requests()
    }


class Rehearsal:
    """Runs a script until somebody hangs up or `until_ms`, and keeps what the caller did.

    `agent` are stretches of speech (from, to); `answers` are (delay, length), one for each time the
    caller finishes saying something; all in ms.
    """

    def __init__(
        self,
        script: Script,
        who: Persona = CALM,
        *,
        agent: Sequence[tuple[float, float]] = (),
        answers: Sequence[tuple[float, float]] = (),
        texts: Sequence[tuple[float, str]] = (),
        leaves_ms: float | None = None,
        length_ms: int = 1000,
        lead_ms: float = 0.0,
        first_audio_s: float = 10.0,
        until_ms: int = 120_000,
    ) -> None:
        self._agent = sorted(agent)
        self._answers = list(answers)
        self._texts = sorted(texts)
        self._leaves_ms = leaves_ms
        self._clips = clips_for(script, length_ms, lead_ms)
        self._ends_ms: float | None = None
        self._speaking = False
        self._now_ms = 0.0
        self.turns = Turns(script, who, first_audio_s, self._clips)
        self.said: list[Said] = []
        self.stopped_ms: list[float] = []
        self.hung_up: HangUp | None = None
        self.hung_up_ms: float | None = None
        self._take(Connected(0.0))
        while self.reason is None and self._now_ms <= until_ms:
            self._frame()
            self._now_ms += FRAME_MS

    @property
    def times(self) -> list[float]:
        """When each utterance began."""
        return [said.at_ms for said in self.said]

    @property
    def kinds(self) -> list[str]:
        return [said.kind for said in self.said]

    @property
    def texts(self) -> list[str | None]:
        return [said.text for said in self.said]

    @property
    def reason(self) -> str | None:
        return None if self.hung_up is None else str(self.hung_up.ended_reason)

    def _frame(self) -> None:
        now_ms = self._now_ms
        while self._texts and self._texts[0][0] <= now_ms:
            self._take(AgentText(*self._texts.pop(0)))
        self._agent_speaks(now_ms)
        if self._leaves_ms is not None and now_ms >= self._leaves_ms:
            self._take(AgentLeft(now_ms, ""))
        self._take(Tick(now_ms))
        if self._ends_ms is not None and now_ms + FRAME_MS >= self._ends_ms:
            self._ends_ms = None
            if self._answers:
                delay_ms, length_ms = self._answers.pop(0)
                from_ms = now_ms + FRAME_MS + delay_ms
                self._agent = sorted([*self._agent, (from_ms, from_ms + length_ms)])
            self._take(PlayoutEnded(now_ms + FRAME_MS))

    def _agent_speaks(self, now_ms: float) -> None:
        heard = [(start, end) for start, end in self._agent if start <= now_ms]
        audible = any(now_ms < end + DETECTED_AFTER_MS for _, end in heard)
        if audible and not self._speaking:
            self._take(AgentStarted(heard[-1][0]))
        elif self._speaking and not audible:
            self._take(AgentStopped(heard[-1][1]))
        self._speaking = audible

    def _take(self, event: Event) -> None:
        for action in self.turns.handle(event):
            match action:
                case Play(speech=speech):
                    assert self._ends_ms is None, "nothing may be begun while something is played"
                    self._ends_ms = event.at_ms + self._clips[speech.sound.hash].duration_ms
                    over, again = action.over_agent, action.again
                    self.said.append(Said(event.at_ms, action.kind, speech.text, over, again))
                case StopPlaying():
                    self._ends_ms = None
                    self.stopped_ms.append(event.at_ms)
                case HangUp():
                    assert self.hung_up is None, "one hangs up once"
                    self.hung_up, self.hung_up_ms = action, event.at_ms


def rehearse(*steps: ScriptStep, who: Persona = CALM, seed: int = 7, **agent: object) -> Rehearsal:
    """Compile and run; the keywords are those of `Rehearsal`."""
    return Rehearsal(compile_script(scenario(*steps), who, seed), who, **agent)  # type: ignore[arg-type]
