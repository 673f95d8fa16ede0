"""What a caller wants: a script of steps, and the checks that judge one call.

In a plan a step is one verb key with its modifiers beside it (`{say: "Hi", interrupt_after_ms:
800}`); here it is one Struct per verb. `shared.plan_text` turns the one into the other.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from shared.agent import Name
from shared.persona import Millis, Utterance


class Say(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="say"):
    """Speak when it is the caller's turn, with the persona's disfluencies."""

    text: Utterance
    interrupt_after_ms: Millis | None = None
    """Speak over the agent's next turn, this long after it began, instead of waiting for its
    end.
    """


class SayExactly(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="say_exactly"
):
    """Speak these words and no others."""

    text: Utterance
    interrupt_after_ms: Millis | None = None


class WaitForAgent(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="wait_for_agent"
):
    """Listen until the agent's turn has ended."""

    contains: Annotated[list[str], msgspec.Meta(max_length=20)] = msgspec.field(
        default_factory=list
    )
    """Words of which the turn's text must hold at least one; needs the agent's own text."""


class Silence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="silence"):
    """Say nothing for this long, whatever the agent does."""

    duration_s: Annotated[float, msgspec.Meta(gt=0, le=600)]


class Play(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="play"):
    """Play a sound file as the caller's turn."""

    clip: str
    """A path where the plan is read, `sha256:<hex>` once submitted."""
    interrupt_after_ms: Millis | None = None


class HangUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hang_up"):
    """End the call."""


ScriptStep = Say | SayExactly | WaitForAgent | Silence | Play | HangUp


class AgentSays(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="agent_says"
):
    """The agent's own text holds `any` of these and `all` of those, compared without case."""

    any: list[str] = msgspec.field(default_factory=list)
    all: list[str] = msgspec.field(default_factory=list)


class AgentNeverSays(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="agent_never_says"
):
    """The agent's own text holds none of these."""

    any: list[str]


class EndedBy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ended"):
    """The call ended for one of these reasons (`shared.call.EndedReason`)."""

    reasons: list[str]


class MeasureCheck(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="measure"
):
    """A measure of the call lies within bounds; in a plan `{time_to_first_word_ms: {max: 3000}}`.

    `stat` applies to measures with one value per turn (default `max`, so that every turn counts)
    and is one of `shared.result.STATS`.
    """

    measure: str
    stat: str | None = None
    min: float | None = None
    max: float | None = None


Check = AgentSays | AgentNeverSays | EndedBy | MeasureCheck


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing a caller may want, with the checks that judge the call."""

    name: Name
    script: Annotated[list[ScriptStep], msgspec.Meta(min_length=1, max_length=200)]
    id: str | int | None = None
    variables: dict[str, str | int | float] = msgspec.field(default_factory=dict)
    """Fill `{{name}}` in texts; values are spoken as written."""
    tell_agent: list[str] = msgspec.field(default_factory=list)
    """Variables that travel to the agent with the offer; the rest only the caller knows."""
    checks: list[Check] = msgspec.field(default_factory=list)
