"""Whatever happens in whatever order: the caller never breaks, and it always comes to an end."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.call import EndedReason
from shared.persona import Persona
from shared.scenario import HangUp, Play, Say, Scenario, ScriptStep, Silence, WaitForAgent
from tests.unit.caller.rehearsal import clips_for
from worker.caller.events import (
    AgentLeft,
    AgentStarted,
    AgentStopped,
    AgentText,
    Connected,
    Event,
    PlayoutEnded,
    State,
    StopPlaying,
    Tick,
)
from worker.caller.events import (
    HangUp as HangUpAction,
)
from worker.caller.events import (
    Play as PlayAction,
)
from worker.caller.script import Script, Speech, compile_script
from worker.caller.turns import Turns

MOMENTS = st.none() | st.integers(0, 3000)
STEPS: st.SearchStrategy[ScriptStep] = st.one_of(
    st.builds(Say, text=st.sampled_from(["Hi", "Bye"]), interrupt_after_ms=MOMENTS),
    st.builds(Play, clip=st.just("sha256:ab"), interrupt_after_ms=MOMENTS),
    st.builds(WaitForAgent, contains=st.lists(st.sampled_from(["yes", "no"]), max_size=2)),
    st.builds(Silence, duration_s=st.floats(0.1, 5)),
    st.just(HangUp()),
)
PERSONAS = st.builds(
    Persona,
    name=st.just("any"),
    endpoint_ms=st.integers(100, 1500),
    reply_delay_ms=st.integers(0, 3000),
    yield_after_ms=MOMENTS,
    idle_after_s=st.floats(1, 5),
    idle_prompts=st.lists(st.just("Hello?"), max_size=2),
    gives_up_after=st.integers(0, 3),
    speaks_first=st.sampled_from([None, "agent", "caller"]),
)
KINDS: st.SearchStrategy[type[Any]] = st.sampled_from(
    [Connected, AgentStarted, AgentStopped, AgentText, PlayoutEnded, AgentLeft, Tick, Tick, Tick]
)
MOVES = st.lists(st.tuples(KINDS, st.floats(0, 1500), st.floats(0, 400)), max_size=60)


class Watched:
    """Turns whose actions are checked for sense as they come."""

    def __init__(self, script: Script, who: Persona) -> None:
        self.turns = Turns(script, who, 4.0, clips_for(script, 1000, lead_ms=20.0))
        self.playing = False
        self.hang_ups = 0
        self.prompts = 0

    def take(self, event: Event) -> None:
        if isinstance(event, PlayoutEnded):
            self.playing = False
        for action in self.turns.handle(event):
            assert self.hang_ups == 0, "nothing may follow the hang-up"
            match action:
                case PlayAction(speech=speech):
                    assert not self.playing, "nothing may be begun while something is played"
                    assert isinstance(speech, Speech)
                    self.playing = True
                    self.prompts += action.kind == "idle_prompt"
                case StopPlaying():
                    assert self.playing, "there must be something to stop"
                    self.playing = False
                case HangUpAction():
                    assert not self.playing, "the line must be quiet when the caller hangs up"
                    self.hang_ups += 1
        ended = self.turns.ended
        assert (self.turns.state is State.ENDED) == (ended is not None) == (self.hang_ups == 1)


def script_of(steps: list[ScriptStep], who: Persona, seed: int = 3) -> Script:
    return compile_script(Scenario(name="any", script=steps), who, seed)


def go_through(watched: Watched, moves: list[tuple[type[Any], float, float]]) -> float:
    """Rising time, though what is reported may have happened a little before."""
    now_ms = 0.0
    for kind, step_ms, ago_ms in moves:
        now_ms += step_ms
        at_ms = now_ms - ago_ms if kind in {AgentStarted, AgentStopped} else now_ms
        watched.take(kind(at_ms, "yes") if kind is AgentText else kind(at_ms))
    return now_ms


@given(steps=st.lists(STEPS, min_size=1, max_size=8), who=PERSONAS, moves=MOVES)
@settings(max_examples=120, deadline=None)
def test_no_order_of_events_breaks_the_caller(
    steps: list[ScriptStep], who: Persona, moves: list[tuple[type[Any], float, float]]
) -> None:
    """No error, no word while a word is being said, one hang-up and nothing after it."""
    watched = Watched(script_of(steps, who), who)
    now_ms = go_through(watched, moves)
    watched.turns.checks()
    watched.take(AgentLeft(now_ms))
    assert watched.turns.ended is not None
    assert watched.turns.handle(Tick(now_ms + 1)) == []


@given(steps=st.lists(STEPS, min_size=1, max_size=8), who=PERSONAS, moves=MOVES)
@settings(max_examples=60, deadline=None)
def test_every_call_ends_once_the_agent_falls_silent(
    steps: list[ScriptStep], who: Persona, moves: list[tuple[type[Any], float, float]]
) -> None:
    """Whatever happened before, silence leads to the end of the script or to giving up."""
    watched = Watched(script_of(steps, who), who)
    now_ms = go_through(watched, moves)
    watched.take(Connected(now_ms))
    watched.take(AgentStopped(now_ms))
    bound_ms = now_ms + 8 * 5000 + 20 * 6000 + 60_000
    played_ms = 0.0
    while watched.turns.ended is None and now_ms < bound_ms:
        now_ms += 100
        watched.take(Tick(now_ms))
        played_ms = played_ms + 100 if watched.playing else 0.0
        if played_ms >= 1000:
            watched.take(PlayoutEnded(now_ms))
    assert watched.turns.ended is not None
    if watched.turns.ended.ended_reason is EndedReason.AGENT_NEVER_SPOKE:
        assert watched.prompts == 0
