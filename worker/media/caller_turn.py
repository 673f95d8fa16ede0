"""A stretch of the caller's speech, as heard from outside. Owns the data, decides nothing."""

from __future__ import annotations

from typing import Literal

import msgspec

CallerTurnKind = Literal["turn", "interrupt", "idle_prompt", "clip"]


class CallerTurn(msgspec.Struct, frozen=True, kw_only=True):
    """Times are ms from connected media: the audible edges as they left our socket."""

    step: int
    """Position in the script; -1 for an idle prompt."""
    kind: CallerTurnKind
    start_ms: float
    """Send time of the clip's first packet plus `Clip.audible_start_ms`."""
    end_ms: float
    """The same with `Clip.audible_end_ms`, or the end of the last packet sent, if earlier."""
    text: str | None = None
    cut: bool = False
    """The caller stopped before its words were out."""
    agent_was_speaking: bool = False
    """The live detector heard the agent when this began."""
