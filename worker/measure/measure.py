"""Everything that is measured from one call's sound. Owns the walk from agent PCM to `Measures`.

Refuses what sound cannot tell: packet loss and jitter come from the transport, texts from evidence.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from shared.result import Distribution, Measures, Turn
from shared.statistics import distribution
from worker.measure import timing
from worker.measure.quality import quality_of
from worker.measure.segments import DETECTOR, Pcm, Segment, merged_turns, speech_segments
from worker.media.caller_turn import CallerTurn

OPUS_LOOKAHEAD_MS = 6.5
"""Delay of libopus' encoder (312 samples at 48 kHz), present in what its decoder gives."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one call's sound says."""

    turns: list[Turn]
    """Caller and agent, by start time."""
    measures: Measures
    """Without `packet_loss_percent` and `jitter_ms`: the transport knows those."""
    detector: str
    """What found the agent's speech."""


def measure_call(agent_pcm: Pcm, duration_ms: float, caller_turns: list[CallerTurn]) -> Measured:
    """Measure one call.

    `agent_pcm`: mono, 16 kHz, float, 1.0 = full scale, sample 0 at 0 ms = connected, as the Opus
    decoder gave it: the encoder's 6.5 ms are inside and are taken off the agent's edges here.
    `caller_turns`: audible edges as sent, the encoder's delay included.
    """
    caller = sorted(caller_turns, key=lambda turn: turn.start_ms)
    heard = speech_segments(agent_pcm)
    agent = _on_the_clock(heard, duration_ms)
    turns = merged_turns(agent, timing.caller_segments(caller))
    quality = quality_of(agent_pcm, heard)
    return Measured(
        turns=_all_turns(turns, caller),
        measures=msgspec.structs.replace(
            _timed(agent, turns, caller, duration_ms),
            agent_level_dbfs=quality.level_dbfs,
            agent_peak_dbfs=quality.peak_dbfs,
            clipped_percent=quality.clipped_percent,
            dropouts_per_min=quality.dropouts_per_min,
        ),
        detector=DETECTOR,
    )


def _on_the_clock(heard: list[Segment], duration_ms: float) -> list[Segment]:
    """Without the encoder's delay, and within the call."""
    moved = [
        Segment(
            max(segment.start_ms - OPUS_LOOKAHEAD_MS, 0.0),
            min(segment.end_ms - OPUS_LOOKAHEAD_MS, duration_ms),
        )
        for segment in heard
    ]
    return [segment for segment in moved if segment.length_ms > 0]


def _timed(
    agent: list[Segment], turns: list[Segment], caller: list[CallerTurn], duration_ms: float
) -> Measures:
    spoken = timing.caller_segments(caller)
    barge_ins = timing.barge_ins(agent, caller, duration_ms)
    silences_ms = timing.silences_ms(agent, spoken)
    return Measures(
        time_to_first_word_ms=_rounded(agent[0].start_ms) if agent else None,
        response_latency_ms=_rounded_all(timing.response_latencies(turns, caller)),
        no_response=timing.no_responses(turns, caller, duration_ms),
        barge_in_stop_ms=_rounded_all(barge_ins.stop_ms),
        barge_in_ignored=barge_ins.ignored if barge_ins.stop_ms else None,
        barge_in_natural_end=barge_ins.natural_ends if spoken else None,
        agent_interruptions=timing.agent_interruptions(agent, caller),
        overlap_ms=_rounded(timing.overlap_ms(agent, spoken)),
        dead_air_ms=_rounded_all(ms for ms in silences_ms or [] if ms > timing.DEAD_AIR_MS),
        longest_silence_ms=None if silences_ms is None else _rounded(max(silences_ms, default=0)),
        talk_ratio=_rounded(timing.talk_ratio(agent, spoken), digits=4),
        agent_turns=len(turns),
        idle_prompts=sum(turn.kind == "idle_prompt" for turn in caller),
    )


def _all_turns(agent: list[Segment], caller: list[CallerTurn]) -> list[Turn]:
    turns = [
        Turn(
            who="agent",
            kind="turn",
            start_ms=round(turn.start_ms, 1),
            end_ms=round(turn.end_ms, 1),
        )
        for turn in agent
    ]
    turns += [
        Turn(
            who="caller",
            kind=turn.kind,
            start_ms=round(turn.start_ms, 1),
            end_ms=round(turn.end_ms, 1),
            text=turn.text,
            text_from=None if turn.text is None else "script",
            cut=turn.cut,
        )
        for turn in caller
    ]
    return sorted(turns, key=lambda turn: (turn.start_ms, turn.end_ms))


def _rounded(value: float | None, digits: int = 1) -> float | None:
    """Tenths of a millisecond: far below what can be heard or measured."""
    return None if value is None else round(value, digits)


def _rounded_all(values_ms: Iterable[float]) -> Distribution:
    return distribution(round(value, 1) for value in values_ms)
