"""What one call with the ruler shall be like. Owns the shape of the orders, which travel in the
offer's `request_data`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """One call's exact behaviour."""

    name: str
    """Names the call in the journal."""
    greets_after_ms: float = 500.0
    """From connected to the greeting's first audible sample."""
    answers_after_ms: float = 800.0
    """From the caller's last audible sample to the answer's first."""
    stops_after_ms: float | None = 400.0
    """From the first audible sample of a caller who speaks over it to its own last; None: never."""
    lines: tuple[str, ...] = ("short",)
    """Which sounds to say, greeting first; the last one is said ever after. See `sounds.py`."""
    echoes_after_ms: float | None = None
    """Answer nothing; say `click` so long after the beginning of each sound of the caller."""
    stream: Literal["silence", "gaps", "bursts"] = "silence"
    """Between sounds: packets of silence; nothing, RTP time running on (DTX); nothing, RTP time
    standing still, and then faster than real time until its own clock is caught up with (Pipecat
    with `auto_silence=False`).
    """
    loss: float = 0.0
    """Share of packets that never leave."""
    jitter_ms: float = 0.0
    """Each packet leaves up to so much later, some after their successors."""
    seed: int = 0


def read_orders(request: Any) -> Orders:
    """The orders in an offer; raises ValueError (msgspec's) for what is none."""
    return msgspec.convert(request, Orders)
