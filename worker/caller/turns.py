"""Turn taking: when the caller speaks, yields, prompts, gives up and hangs up. Sans-IO.

Owns the rules; refuses clocks, audio and asyncio. Events with times go in, actions come out, and
the same events give the same actions. Any order of events is taken without an error:
contradictions change nothing, and time never runs backwards.

Theory of operation
===================

The *script* is a list of lines, worked off in order. Beside it stands the agent's *floor*
(`worker.caller.floor`): whether the agent is audible, and its turn, which stays open until
`endpoint_ms` of silence has followed its last audible sound. The state is never stored: it is
read off the current line, the floor, and what is being played, so it cannot contradict them.

state         it is                                       left when
------------  ------------------------------------------  -------------------------------------
connecting    before `Connected`                          Connected
listening     a wait, agent silent or speaking            agent stops -> endpointing
endpointing   a wait, agent silent within its open turn   agent resumes -> listening
                                                          `endpoint_ms` passed -> next line
thinking      a line to say once the floor is free        it is due -> speaking
interrupting  a line to say over the agent's turn         `interrupt_after_ms` in -> speaking
                                                          that turn ended before -> thinking
speaking      something is being played                   played out -> next line
                                                          (an idle prompt: the same line again)
                                                          agent talks over it -> yielding
yielding      cut; the agent's turn is still open         turn ended -> same or next line
silent        a silence of the script                     it is over -> next line
leaving       the script's last line                      at once -> ended
ended         nothing is said or taken any more           never

AgentLeft ends it from every state. Silence of both sides while listening or interrupting is put
to `worker.caller.patience`, which prompts or gives up. How long a call may last, and whether
packets still arrive, is watched by the call.

When a line is due. The floor is free when the agent has no open turn. The line starts
`reply_delay_ms` after whichever came last: the agent's last audible sound, the end of the
caller's own words, or the connection; or with the end of a silence of the script where that is
later. Times are those of the first audible sound: what a clip holds before that is taken off. An
agent that resumes before the first packet is out has the floor again, and the line waits for the
new end.

What counts as an answer (`worker.caller.dialogue`). A wait is done when the agent has finished a
turn since the caller's last words and is not in another one; each turn does for one wait. A turn
that was under way when the caller cut in is no answer if it ended within `endpoint_ms` of the
caller's last word: that agent was only stopping. One that runs on for longer has kept the floor.

Interrupting. The turn to interrupt is the open one, if it could be an answer, or else the next.
The line starts over audible speech only: in a pause it waits for the agent to go on or for the
turn to end; once that turn has ended the line is said like any other, as an ordinary turn.

Yielding. When the agent speaks without a pause for `yield_after_ms` during the caller's words
(counted from the caller's first word where the caller cut in), the caller stops, waits for the
end of the agent's turn, and says the line once more if less than half of it was out.

Chance has no place here: it was all decided in `worker.caller.script`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shared.call import EndedReason
from shared.persona import Persona
from shared.result import CheckResult, Decision
from worker.caller import events
from worker.caller.dialogue import Dialogue
from worker.caller.events import Action, Event, HangUp, Note, Play, State, StopPlaying
from worker.caller.floor import AgentTurn
from worker.caller.matches import Matches
from worker.caller.patience import Patience
from worker.caller.place import Place
from worker.caller.script import Await, Leave, Pause, Script, Speech
from worker.media.caller_turn import CallerTurnKind
from worker.media.clip import Clip


class Turns:
    """One caller's turn taking. `clips` gives the length and lead-in of each sound, by its hash."""

    def __init__(
        self, script: Script, persona: Persona, first_audio_s: float, clips: Mapping[str, Clip]
    ) -> None:
        self._persona = persona
        self._place = Place(script)
        self._dialogue = Dialogue(persona.endpoint_ms, clips)
        self._patience = Patience(persona, script.idle_prompts, first_audio_s)
        waits = [line for line in script.lines if isinstance(line, Await)]
        self._matches = Matches(waits, script.skipped)
        self._actions: list[Action] = []
        self._now_ms = 0.0
        self._connected_ms: float | None = None
        self._yielding = False
        self.ended: HangUp | None = None
        self.decisions: list[Decision] = list(script.decisions)
        """What plan and seed decided: chance first, then the lines in the order they were said."""
        self.notes: list[Note] = []
        """What the agent made the caller do."""
        self._moves: dict[State, Callable[[], bool]] = {
            State.LISTENING: self._listen,
            State.ENDPOINTING: self._listen,
            State.THINKING: self._think,
            State.INTERRUPTING: self._interrupt,
            State.SPEAKING: self._speak,
            State.YIELDING: self._yield,
            State.SILENT: self._keep_silent,
            State.LEAVING: self._leave,
        }

    @property
    def state(self) -> State:
        """Where the table above puts the caller now."""
        if self.ended is not None:
            return State.ENDED
        if self._connected_ms is None:
            return State.CONNECTING
        if self._dialogue.own.playing is not None:
            return State.SPEAKING
        return State.YIELDING if self._yielding else self._state_by_line()

    @property
    def has_heard_agent(self) -> bool:
        """The agent has been audible at least once."""
        return self._dialogue.agent_has_spoken

    def checks(self) -> list[CheckResult]:
        """One check for each `contains`, by the texts so far; ask when the call has ended."""
        return self._matches.results()

    def handle(self, event: Event) -> list[Action]:
        """Take one event and say what to do, in this order. Nothing after `HangUp`."""
        if isinstance(event, events.AgentText):
            self._matches.text(event.at_ms, event.text)
        if self.ended is not None:
            return []
        self._now_ms = max(self._now_ms, event.at_ms)
        self._actions = []
        self._close_agent_turn(event.at_ms)
        self._take(event)
        self._close_agent_turn(self._now_ms)
        moved = True
        while moved and self.state in self._moves:
            moved = self._moves[self.state]()
        return self._actions

    def _state_by_line(self) -> State:
        line, floor = self._place.line, self._dialogue.floor
        if isinstance(line, Speech):
            ordinary = line.interrupt_after_ms is None or self._place.missed or self._place.again
            return State.THINKING if ordinary else State.INTERRUPTING
        if isinstance(line, Await):
            paused = floor.turn is not None and not floor.speaking
            return State.ENDPOINTING if paused else State.LISTENING
        return State.SILENT if isinstance(line, Pause) else State.LEAVING

    def _take(self, event: Event) -> None:
        match event:
            case events.Connected():
                if self._connected_ms is None:
                    self._connected_ms = self._place.entered_ms = self._now_ms
            case events.AgentStarted(at_ms=at_ms):
                self._dialogue.agent_started(at_ms)
            case events.AgentStopped(at_ms=at_ms):
                self._dialogue.floor.stopped(at_ms)
            case events.PlayoutEnded():
                self._played_out()
            case events.AgentLeft(detail=detail):
                early = self._place.unsaid
                reason = EndedReason.AGENT_HUNG_UP_EARLY if early else EndedReason.AGENT_HUNG_UP
                self._hang_up(HangUp(reason, detail or "the agent ended the call"))
            case events.AgentText() | events.Tick():
                pass

    # Each move looks at one state and returns whether another state may now have its move.

    def _listen(self) -> bool:
        line = self._place.line
        assert isinstance(line, Await)
        answer = self._dialogue.take_answer()
        if answer is None:
            return self._wait_on()
        self._matches.open(line, answer, self._dialogue.own.ended_ms or 0.0)
        return self._next_line()

    def _think(self) -> bool:
        line = self._place.line
        assert isinstance(line, Speech)
        if self._dialogue.floor.turn is not None or self._now_ms < self._due_ms(line):
            return False
        return self._play(line, "clip" if line.verb == "play" else "turn")

    def _interrupt(self) -> bool:
        line, place, floor = self._place.line, self._place, self._dialogue.floor
        assert isinstance(line, Speech)
        assert line.interrupt_after_ms is not None
        turn = floor.turn
        if place.target is not None and place.target is not turn:
            return self._miss(place.target)
        if turn is None:
            ended = self._dialogue.answer if line.instead_of_wait else None
            return self._wait_on() if ended is None else self._miss(ended)
        if not self._dialogue.may_answer(turn, self._now_ms):
            return False
        place.target = turn
        lead_ms = self._dialogue.own.lead_ms(line)
        due_ms = turn.began_ms + line.interrupt_after_ms - lead_ms
        if not floor.speaking or self._now_ms < due_ms:
            return False
        return self._play(line, "interrupt")

    def _speak(self) -> bool:
        after_ms = self._persona.yield_after_ms
        own = self._dialogue.own
        if after_ms is None or not self._dialogue.floor.speaking:
            return False
        if self._dialogue.over_each_other_ms(self._now_ms) < after_ms:
            return False
        self._actions.append(StopPlaying())
        play = own.stop(self._now_ms)
        self._yielding = True
        if play.kind == "idle_prompt":
            self._note("yielded to the agent during an idle prompt")
        elif play.again or own.half_out:
            self._note("yielded to the agent; enough was said")
            self._next_line()
        else:
            self._note("yielded to the agent; to be said again")
            self._place.again = True
        return True

    def _yield(self) -> bool:
        self._yielding = self._dialogue.floor.turn is not None
        return not self._yielding

    def _keep_silent(self) -> bool:
        line = self._place.line
        assert isinstance(line, Pause)
        until_ms = self._place.entered_ms + line.duration_ms
        if self._now_ms < until_ms:
            return False
        self._place.quiet_until_ms = until_ms
        return self._next_line()

    def _leave(self) -> bool:
        assert isinstance(self._place.line, Leave)
        return self._hang_up(HangUp(EndedReason.CALLER_HUNG_UP, "the script was done"))

    # What the moves and the events share.

    def _due_ms(self, line: Speech) -> float:
        assert self._connected_ms is not None
        last_ms = max(self._connected_ms, self._dialogue.last_sound_ms)
        due_ms = max(last_ms + self._persona.reply_delay_ms, self._place.quiet_until_ms)
        return due_ms - self._dialogue.own.lead_ms(line)

    def _wait_on(self) -> bool:
        """Nothing to hear yet: prompt or give up once both sides were silent for too long."""
        if self._dialogue.floor.turn is not None:
            return False
        assert self._connected_ms is not None
        since_ms = max(self._connected_ms, self._dialogue.last_sound_ms, self._place.quiet_until_ms)
        heard = self._dialogue.agent_has_spoken
        match self._patience.ask(self._now_ms - since_ms, agent_has_spoken=heard):
            case Speech() as prompt:
                return self._play(prompt, "idle_prompt")
            case HangUp() as hang_up:
                return self._hang_up(hang_up)
            case None:
                return False

    def _miss(self, turn: AgentTurn) -> bool:
        length_ms = turn.audible_until_ms - turn.began_ms
        self._note(f"the agent's turn ended after {length_ms:.0f} ms: said as an ordinary turn")
        self._place.missed = True
        return True

    def _play(self, speech: Speech, kind: CallerTurnKind) -> bool:
        if kind != "idle_prompt":
            self._matches.close(self._now_ms)
            if not self._place.again:
                said = Decision(step=speech.step, what=speech.verb, clip=speech.sound.hash)
                self.decisions.append(said)
        over_agent = self._dialogue.floor.speaking
        again = self._place.again and kind != "idle_prompt"
        play = Play(speech, kind, over_agent=over_agent, again=again)
        self._dialogue.answer = None
        self._dialogue.own.start(play, self._now_ms)
        self._actions.append(play)
        return True

    def _played_out(self) -> None:
        own = self._dialogue.own
        if own.playing is not None and own.stop(self._now_ms).kind != "idle_prompt":
            self._next_line()

    def _next_line(self) -> bool:
        self._place.next(self._now_ms)
        return True

    def _close_agent_turn(self, now_ms: float) -> None:
        if self._dialogue.close_turn(now_ms):
            self._patience.answered()

    def _hang_up(self, hang_up: HangUp) -> bool:
        own, line = self._dialogue.own, self._place.line
        if own.playing is not None:
            own.stop(self._now_ms)
            self._actions.append(StopPlaying())
        if isinstance(line, Await):
            turn = self._dialogue.floor.turn or AgentTurn(self._now_ms, self._now_ms)
            self._matches.open(line, turn, own.ended_ms or 0.0)
        self.ended = hang_up
        self._actions.append(hang_up)
        return False

    def _note(self, what: str) -> None:
        self.notes.append(Note(self._now_ms, self._place.line.step, what))
