"""Who spoke when, in numbers: latencies, barge-ins, overlap, silence. Knows stretches, not sound.

All functions take the call's stretches in ms by start time: `agent` are detected segments, `turns`
the agent's merged turns, `caller` the caller's own log. What was not measurable is absent, never 0.
"""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec

from worker.measure.segments import MAX_PAUSE_IN_TURN_MS, Segment, joined_over
from worker.media.caller_turn import CallerTurn

EARLY_MS = 500.0
"""An agent that starts so shortly before the caller's end has answered early, not interrupted."""
ANSWER_CHANCE_MS = 2000.0
"""A caller that speaks again or hangs up sooner gave no chance to answer."""
SPOKEN_BEFORE_BARGE_IN_MS = 300.0
NATURAL_END_MS = 160.0
"""An agent that ends within it would have ended anyway: the quickest detectors need 200 ms, which
may be measured some 30 ms short.
"""
IGNORED_AFTER_MS = 2000.0
INTERRUPTION_OVERLAP_MS = 500.0
INTERRUPTION_MARGIN_MS = 200.0
DEAD_AIR_MS = 3000.0
_CUT_BY_CALL_END_MS = 100.0


class BargeIns(msgspec.Struct, frozen=True, kw_only=True):
    """The caller's interruptions that an agent could have yielded to."""

    stop_ms: list[float]
    """From the caller's first sound to the agent's last, one per interruption."""
    ignored: int
    """How many of them the agent talked through for more than 2 s."""
    natural_ends: int
    """Interruptions, not among them, that the agent's own end came too soon after."""


def caller_segments(caller: list[CallerTurn]) -> list[Segment]:
    """When the caller spoke."""
    return [Segment(turn.start_ms, turn.end_ms) for turn in caller]


def response_latencies(turns: list[Segment], caller: list[CallerTurn]) -> list[float]:
    """The agent's next start minus the caller's end, for each turn and clip that was answered.

    Negative down to -500 where the agent began before the caller had ended. A turn at whose end the
    agent had been talking for longer, or that the caller followed up itself, has no latency; nor
    has one that the agent itself cut short: its words were not out, and the caller yielded.
    """
    latencies = []
    for turn, next_start_ms in _with_next_start(caller, math.inf):
        if turn.kind in {"turn", "clip"} and not _talked_over(turn, turns):
            answer = _answer(turn, next_start_ms, turns)
            if answer is not None and not (turn.cut and answer.start_ms < turn.end_ms):
                latencies.append(answer.start_ms - turn.end_ms)
    return latencies


def no_responses(turns: list[Segment], caller: list[CallerTurn], duration_ms: float) -> int | None:
    """How often the caller was left without an answer until it spoke again or the call ended.

    Counts turns, clips and interruptions that left at least 2 s to answer; None where it said none.
    """
    asked = [
        (turn, next_start_ms)
        for turn, next_start_ms in _with_next_start(caller, duration_ms)
        if turn.kind != "idle_prompt"
    ]
    if not asked:
        return None
    return sum(
        next_start_ms - turn.end_ms >= ANSWER_CHANCE_MS
        and not _talked_over(turn, turns)
        and _answer(turn, next_start_ms, turns) is None
        for turn, next_start_ms in asked
    )


def barge_ins(agent: list[Segment], caller: list[CallerTurn], duration_ms: float) -> BargeIns:
    """How fast the agent fell silent when the caller spoke over it.

    Counts interruptions begun when the agent had spoken for at least 300 ms. Left out: an agent
    that ended within 160 ms, which is counted apart, and one that the end of the call silenced.
    """
    stops_ms, natural_ends = [], 0
    for turn in caller:
        stop = _stop(agent, turn) if turn.kind == "interrupt" else None
        if stop is None:
            continue
        stop_ms = stop - turn.start_ms
        cut = stop > duration_ms - _CUT_BY_CALL_END_MS and stop_ms <= IGNORED_AFTER_MS
        if stop_ms < NATURAL_END_MS:
            natural_ends += 1
        elif not cut:
            stops_ms.append(stop_ms)
    return BargeIns(
        stop_ms=stops_ms,
        ignored=sum(ms > IGNORED_AFTER_MS for ms in stops_ms),
        natural_ends=natural_ends,
    )


def agent_interruptions(agent: list[Segment], caller: list[CallerTurn]) -> int | None:
    """How many of the caller's turns and clips the agent began to speak into, by more than 500 ms.

    Not where the caller itself came in on the agent. None where the caller said nothing.
    """
    turns = [turn for turn in caller if turn.kind in {"turn", "clip"}]
    return sum(_interrupted(turn, agent) for turn in turns) if turns else None


def overlap_ms(agent: list[Segment], caller: list[Segment]) -> float | None:
    """How long both spoke at once; None where only one or none did."""
    if not agent or not caller:
        return None
    return sum(_overlap(one, other) for one in agent for other in caller)


def silences_ms(agent: list[Segment], caller: list[Segment]) -> list[float] | None:
    """Stretches in which neither spoke, between the first speech and the last; None without any."""
    spoken = sorted([*agent, *caller], key=lambda segment: segment.start_ms)
    if not spoken:
        return None
    joined = joined_over(spoken, 0.0)
    return [later.start_ms - sooner.end_ms for sooner, later in pairwise(joined)]


def talk_ratio(agent: list[Segment], caller: list[Segment]) -> float | None:
    """The agent's share of all speech, 0 to 1; None where nobody spoke."""
    agent_ms = sum(segment.length_ms for segment in agent)
    total_ms = agent_ms + sum(segment.length_ms for segment in caller)
    return agent_ms / total_ms if total_ms > 0 else None


def _with_next_start(
    caller: list[CallerTurn], after_last_ms: float
) -> list[tuple[CallerTurn, float]]:
    """Each turn with the time at which the caller spoke again."""
    starts_ms = [turn.start_ms for turn in caller[1:]]
    return list(zip(caller, [*starts_ms, after_last_ms], strict=False))


def _talked_over(turn: CallerTurn, turns: list[Segment]) -> bool:
    """The agent was speaking at the caller's end, and not as an early answer."""
    return any(
        agent.start_ms < turn.end_ms - EARLY_MS and agent.end_ms > turn.end_ms for agent in turns
    )


def _answer(turn: CallerTurn, before_ms: float, turns: list[Segment]) -> Segment | None:
    for agent in turns:
        in_time = turn.end_ms - EARLY_MS <= agent.start_ms < before_ms
        if in_time and agent.end_ms > turn.end_ms:
            return agent
    return None


def _stop(agent: list[Segment], turn: CallerTurn) -> float | None:
    """When the agent fell silent after the caller came in; None if it was not speaking then.

    A pause inside its utterance is no stop while it goes on under the caller's voice.
    """
    was_speaking = any(
        utterance.start_ms <= turn.start_ms - SPOKEN_BEFORE_BARGE_IN_MS
        and utterance.end_ms > turn.start_ms
        for utterance in joined_over(agent, MAX_PAUSE_IN_TURN_MS)
    )
    if not was_speaking:
        return None
    under_voice_ms = turn.end_ms + NATURAL_END_MS
    stop_ms = max(segment.end_ms for segment in agent if segment.start_ms <= turn.start_ms)
    for segment in agent:
        goes_on = segment.start_ms <= min(stop_ms + MAX_PAUSE_IN_TURN_MS, under_voice_ms)
        if segment.start_ms > turn.start_ms and goes_on:
            stop_ms = segment.end_ms
    return stop_ms


def _interrupted(turn: CallerTurn, agent: list[Segment]) -> bool:
    came_in = any(
        segment.start_ms <= turn.start_ms and segment.end_ms > turn.start_ms - MAX_PAUSE_IN_TURN_MS
        for segment in agent
    )
    if came_in:
        return False
    whole = Segment(turn.start_ms, turn.end_ms)
    into_ms = sum(
        _overlap(segment, whole)
        for segment in agent
        if turn.start_ms < segment.start_ms < turn.end_ms - INTERRUPTION_MARGIN_MS
    )
    return into_ms > INTERRUPTION_OVERLAP_MS


def _overlap(one: Segment, other: Segment) -> float:
    return max(0.0, min(one.end_ms, other.end_ms) - max(one.start_ms, other.start_ms))
