"""A valid plan in surface form, and ways to look at refusals; owns no test."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import PlanError
from shared.plan import RunPlan
from shared.plan_rules import PlanSource
from shared.plan_text import LOCAL_FILE, read_tree, surface

BOOKING = """\
version: 1
name: booking-nightly
seed: 7
agents:
  - name: booking
    id: 17
    smallwebrtc:
      offer_url: "http://127.0.0.1:7860/api/offer"
      headers: {Authorization: "Bearer ${BOT_TOKEN}"}
      request_data: {tenant: demo}
    max_concurrent: 20
    calls_per_second: 2
personas:
  - {name: calm}
  - name: in-a-cafe
    speed: 1.1
    noise: {kind: crowd, snr_db: 15}
    interrupts: {probability: 0.3}
scenarios:
  - name: table-for-two
    variables: {party: two, customer_id: c-17}
    tell_agent: [customer_id]
    script:
      - wait_for_agent: {}
      - say: "Hi, a table for {{party}} please."
      - {say: "At seven, please.", interrupt_after_ms: 800}
      - wait_for_agent: {contains: ["seven"]}
      - hang_up: {}
    checks:
      - {agent_says: {any: ["confirmed", "see you"]}}
      - {time_to_first_word_ms: {max: 3000}}
  - name: odds-and-ends
    script:
      - say_exactly: "It is me."
      - silence: 800ms
      - {play: door.wav, interrupt_after_ms: 100}
      - wait_for_agent:
      - hang_up
    checks:
      - {agent_never_says: {any: ["sorry"]}}
      - {ended: {reasons: [caller_hung_up, agent_hung_up]}}
      - {response_latency_ms: {stat: p50, max: 1500}}
repeat: 20
load: {concurrency: 50}
limits: {call_s: 180, connect_s: 15, first_audio_s: 10, retries: 1}
thresholds:
  - {pass_rate: {min: 95}}
  - {measure: response_latency_ms, stat: p95, max: 2000}
min_valid: 90
labels: {team: voice}
"""


def minimal() -> dict[str, Any]:
    """The smallest plan, as a fresh tree."""
    return {
        "version": 1,
        "name": "small",
        "agents": [{"name": "a", "smallwebrtc": {"offer_url": "http://127.0.0.1:1/api/offer"}}],
        "personas": [{"name": "p"}],
        "scenarios": [{"name": "s", "script": [{"say": "hello"}]}],
    }


def refused(
    plan: str | bytes | dict[str, Any], where: PlanSource = LOCAL_FILE, file: str | None = None
) -> PlanError:
    """The refusal of a plan; the test fails if it is accepted."""
    tree = plan if isinstance(plan, dict) else surface(plan, file)
    with pytest.raises(PlanError) as caught:
        read_tree(tree, where=where, file=file)
    return caught.value


def small_plan(**changes: Any) -> RunPlan:
    """The smallest plan with some top-level keys changed."""
    return read_tree(minimal() | changes, where=LOCAL_FILE)
