"""How a caller sounds and behaves. Every knob changes the audio or the timing, and a test shows
it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from shared.agent import Name

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=60_000)]
Utterance = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]

NOISE_KINDS = ("white", "pink", "brown", "hum", "street", "crowd")


class Noise(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Background noise, heard while the caller speaks and while it is silent."""

    kind: Literal["white", "pink", "brown", "hum", "street", "crowd"] | None = None
    clip: str | None = None
    """A sound file instead of `kind`: a path where the plan is read, `sha256:<hex>` once
    submitted.
    """
    snr_db: Annotated[float, msgspec.Meta(ge=-10, le=60)] = 15.0
    """Level of speech (`Persona.level_dbfs`) over the noise."""


class Interrupts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often the caller speaks over the agent's turn instead of waiting for its end."""

    probability: Probability
    after_ms: Millis = 800
    """Time from the start of the agent's turn to the caller's first word."""


class Persona(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of caller."""

    name: Name
    id: str | int | None = None
    voice: Annotated[
        str, msgspec.Meta(pattern=r"^[A-Za-z0-9+:_.-]{1,60}$", description="en-us or en-gb+f3")
    ] = "en-us"
    """espeak-ng voice or language with an optional `+variant`, such as `en-gb+f3`."""
    speed: Annotated[float, msgspec.Meta(ge=0.5, le=2.0)] = 1.0
    """1.0 is 160 words a minute."""
    pitch: Annotated[float, msgspec.Meta(ge=0.5, le=2.0)] = 1.0
    """1.0 is the voice's own pitch; 2.0 the highest that the voice offers."""
    level_dbfs: Annotated[float, msgspec.Meta(ge=-60, le=-6)] = -23.0
    """RMS of the spoken parts."""
    noise: Noise | None = None
    interrupts: Interrupts | None = None
    disfluency: Probability = 0.0
    """Chance that a `say` opens with a filler; `say_exactly` never does."""
    speaks_first: Literal["agent", "caller"] | None = None
    """None: the script decides. `agent`: hear its greeting first. `caller`: skip a leading wait."""
    reply_delay_ms: Millis = 900
    """Constant time from the end of the agent's turn to the caller's first word."""
    endpoint_ms: Annotated[int, msgspec.Meta(ge=100, le=5000)] = 700
    """Silence after which the agent's turn counts as ended; at most `reply_delay_ms`."""
    yield_after_ms: Millis | None = 1000
    """How long the caller speaks on when the agent talks over it; null: it never yields."""
    idle_after_s: Annotated[float, msgspec.Meta(ge=1, le=120)] = 10.0
    """Silence of both sides after which the caller prompts."""
    idle_prompts: Annotated[list[Utterance], msgspec.Meta(max_length=10)] = msgspec.field(
        default_factory=lambda: ["Hello? Are you still there?"]
    )
    gives_up_after: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2
    """Unanswered idle prompts after which the caller hangs up."""
