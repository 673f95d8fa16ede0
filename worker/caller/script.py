"""What one caller is going to do, laid out before the call: the script with all chance decided.

Owns texts with their variables filled in, fillers, chance interruptions, and which sounds are
needed; refuses to know when anything is said (`worker.caller.turns`). A pure function of scenario,
persona and seed. Each choice draws from a seed of its own, named after knob and step, so turning
one knob leaves the choices of the others as they were.
"""

from __future__ import annotations

import random

import msgspec

from shared.call import call_seed
from shared.persona import Persona
from shared.result import Decision
from shared.scenario import (
    HangUp,
    Play,
    Say,
    SayExactly,
    Scenario,
    ScriptStep,
    Silence,
    WaitForAgent,
)
from shared.templates import fill
from worker.media.sound import Bed, Sound, SoundRequest, Spoken

FILLERS = ("um, ", "uh, ", "well, ")
IDLE_STEP = -1


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """Something to say or to play. `step` is its place in the scenario's script, from 0."""

    step: int
    verb: str
    """`say`, `say_exactly`, `play` or `idle_prompt`."""
    sound: Spoken | Sound
    text: str | None = None
    """The words as spoken, filler included; None for a sound file."""
    interrupt_after_ms: float | None = None
    """Over the agent's next turn, so long after it began; None: when the floor is free."""
    instead_of_wait: bool = False
    """Chance put the interruption where the script waits: a turn that has ended will do as well."""


class Await(msgspec.Struct, frozen=True, kw_only=True):
    """Listen until a turn of the agent has ended."""

    step: int
    contains: tuple[str, ...] = ()


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Say nothing for this long."""

    step: int
    duration_ms: float


class Leave(msgspec.Struct, frozen=True, kw_only=True):
    """Hang up."""

    step: int


ScriptLine = Speech | Await | Pause | Leave


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A caller's part. `lines` end with the one and only `Leave`."""

    lines: list[ScriptLine]
    idle_prompts: list[Speech]
    bed: Bed
    decisions: list[Decision] = []
    """What chance decided, in the order of the script."""
    skipped: list[Await] = []
    """Waits that the persona's `speaks_first` left out."""

    def requests(self) -> list[SoundRequest]:
        """Every sound to prepare, each once: lines, idle prompts, bed."""
        spoken = [line.sound for line in self.lines if isinstance(line, Speech)]
        prompts = [prompt.sound for prompt in self.idle_prompts]
        found: dict[str, SoundRequest] = {
            sound.hash: sound for sound in (*spoken, *prompts, self.bed)
        }
        return list(found.values())


def compile_script(scenario: Scenario, persona: Persona, seed: int) -> Script:
    """The scenario as this persona plays it. Raises KeyError for a variable that is not defined.

    `seed` is the call's own (`shared.call.CallSpec.seed`). Idle prompts belong to the persona,
    which plays many scenarios, so they are spoken as written.
    """
    return _Compiler(scenario, persona, seed).compile()


class _Compiler:
    """One pass over the steps; `lines` and `decisions` grow as it goes."""

    def __init__(self, scenario: Scenario, persona: Persona, seed: int) -> None:
        self._scenario = scenario
        self._persona = persona
        self._seed = seed
        self._lines: list[ScriptLine] = []
        self._decisions: list[Decision] = []
        self._skipped: list[Await] = []

    def compile(self) -> Script:
        steps = self._scenario.script
        if self._persona.speaks_first == "agent" and not isinstance(steps[0], WaitForAgent):
            self._lines.append(Await(step=0))
        for index, step in enumerate(steps):
            self._add(index, step)
            if isinstance(step, HangUp):
                break
        else:
            self._leave_at_the_end(len(steps))
        return Script(
            lines=self._lines,
            idle_prompts=[self._idle_prompt(text) for text in self._persona.idle_prompts],
            bed=Bed(level_dbfs=self._persona.level_dbfs, noise=self._persona.noise),
            decisions=self._decisions,
            skipped=self._skipped,
        )

    def _add(self, index: int, step: ScriptStep) -> None:
        match step:
            case Say() | SayExactly():
                self._say(index, step)
            case Play():
                self._lines.append(self._sound_file(index, step))
            case WaitForAgent():
                wait = Await(step=index, contains=tuple(map(self._fill, step.contains)))
                skip = index == 0 and self._persona.speaks_first == "caller"
                (self._skipped if skip else self._lines).append(wait)
            case Silence():
                self._lines.append(Pause(step=index, duration_ms=step.duration_s * 1000.0))
            case HangUp():
                self._lines.append(Leave(step=index))

    def _say(self, index: int, step: Say | SayExactly) -> None:
        text = self._fill(step.text)
        verb = "say_exactly"
        if isinstance(step, Say):
            verb = "say"
            text = self._filler(index) + text
        after_ms, by_chance = step.interrupt_after_ms, False
        if after_ms is None and self._interrupts(index):
            assert self._persona.interrupts is not None
            after_ms, by_chance = self._persona.interrupts.after_ms, True
            self._lines.pop()
        self._lines.append(
            Speech(
                step=index,
                verb=verb,
                sound=self._spoken(text),
                text=text,
                interrupt_after_ms=after_ms,
                instead_of_wait=by_chance,
            )
        )

    def _interrupts(self, index: int) -> bool:
        """Whether chance lets this line cut short the wait before it.

        A wait that looks for words needs the whole turn, and a greeting that the persona wants to
        hear first is heard.
        """
        knob = self._persona.interrupts
        before = self._lines[-1] if self._lines else None
        if knob is None or not isinstance(before, Await) or before.contains:
            return False
        if len(self._lines) == 1 and self._persona.speaks_first == "agent":
            return False
        chosen = self._chance("interrupt", index).random() < knob.probability
        what = f"interrupts {knob.after_ms} ms into the agent's turn" if chosen else "waits"
        self._decisions.append(Decision(step=index, what=f"interrupts.probability: {what}"))
        return chosen

    def _filler(self, index: int) -> str:
        if self._persona.disfluency == 0.0:
            return ""
        chance = self._chance("disfluency", index)
        chosen = chance.random() < self._persona.disfluency
        filler = FILLERS[int(chance.random() * len(FILLERS))] if chosen else ""
        what = f"opens with {filler.rstrip(', ')!r}" if chosen else "no filler"
        self._decisions.append(Decision(step=index, what=f"disfluency: {what}"))
        return filler

    def _leave_at_the_end(self, step: int) -> None:
        """A script that does not say so ends once the agent's turn has ended."""
        if not self._lines or not isinstance(self._lines[-1], Await):
            self._lines.append(Await(step=step))
        self._lines.append(Leave(step=step))

    def _sound_file(self, index: int, step: Play) -> Speech:
        persona = self._persona
        sound = Sound(asset=step.clip, level_dbfs=persona.level_dbfs, noise=persona.noise)
        after_ms = step.interrupt_after_ms
        return Speech(step=index, verb="play", sound=sound, interrupt_after_ms=after_ms)

    def _idle_prompt(self, text: str) -> Speech:
        sound = self._spoken(text)
        return Speech(step=IDLE_STEP, verb="idle_prompt", sound=sound, text=text)

    def _spoken(self, text: str) -> Spoken:
        persona = self._persona
        return Spoken(
            text=text,
            voice=persona.voice,
            speed=persona.speed,
            pitch=persona.pitch,
            level_dbfs=persona.level_dbfs,
            noise=persona.noise,
        )

    def _fill(self, text: str) -> str:
        return fill(text, self._scenario.variables)

    def _chance(self, knob: str, index: int) -> random.Random:
        return random.Random(call_seed(self._seed, knob, index))
