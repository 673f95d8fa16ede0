"""The run plan, version 1: agents × scenarios × personas × repetitions, load, limits and
thresholds.

Owns the shape; `shared.plan_text` reads it from YAML or JSON, `shared.expansion` turns it into
calls.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from shared.agent import Agent, Name
from shared.persona import Persona
from shared.scenario import Scenario

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class Load(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Closed load: so many calls of the run at the same time."""

    concurrency: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 10


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Time limits of one call, and how often the fleet may repeat it for failures of its own."""

    call_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 180.0
    connect_s: Annotated[float, msgspec.Meta(gt=0, le=120)] = 15.0
    """For each of signalling and ICE."""
    first_audio_s: Annotated[float, msgspec.Meta(gt=0, le=300)] = 10.0
    media_gap_s: Annotated[float, msgspec.Meta(gt=0, le=300)] = 5.0
    """Without any packet for so long in mid-call, the agent's media counts as lost."""
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 1


class PassRate(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="pass_rate"
):
    """At least this share of the judged calls passed."""

    min: Percent


class MeasureThreshold(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="measure"
):
    """A statistic over all turns (or calls) of the run lies within bounds."""

    measure: str
    stat: str = "p95"
    min: float | None = None
    max: float | None = None


Threshold = PassRate | MeasureThreshold


class RunPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One suite or load test; the same file with other numbers."""

    version: Literal[1]
    name: Name
    agents: Annotated[list[Agent], msgspec.Meta(min_length=1, max_length=1000)]
    scenarios: Annotated[list[Scenario], msgspec.Meta(min_length=1, max_length=1000)]
    personas: Annotated[list[Persona], msgspec.Meta(min_length=1, max_length=1000)]
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0
    repeat: Annotated[int, msgspec.Meta(ge=1, le=100_000_000)] = 1
    load: Load = Load()
    limits: Limits = Limits()
    recording: Literal["opus", "wav", "flac"] = "opus"
    thresholds: list[Threshold] = msgspec.field(default_factory=list)
    min_valid: Percent = 90.0
    labels: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def calls_per_lane(self) -> int:
        """Calls with each agent."""
        return len(self.scenarios) * len(self.personas) * self.repeat

    @property
    def call_count(self) -> int:
        """Calls of the whole run."""
        return len(self.agents) * self.calls_per_lane
