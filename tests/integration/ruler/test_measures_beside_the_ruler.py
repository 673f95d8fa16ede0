"""A handful of turns against an agent with exactly known timing; `make prove` has the figures."""

from __future__ import annotations

from shared.persona import Persona
from shared.scenario import HangUp, SayExactly, ScriptStep, WaitForAgent
from tests.prove.exchange import Order, exchange
from tests.prove.truth import errors_of
from tests.ruler.orders import Orders

WITHIN_MS = 80.0
"""Far wider than what is promised: the machine may be doing other things."""
PERSONA = Persona(name="calm", yield_after_ms=None, reply_delay_ms=600, endpoint_ms=500)
SCRIPT: list[ScriptStep] = [
    WaitForAgent(),
    SayExactly(text="At seven please"),
    WaitForAgent(),
    SayExactly(text="What about Sunday"),
    SayExactly(text="Thanks that will do", interrupt_after_ms=700),
    WaitForAgent(),
    HangUp(),
]
LINES = ("brief", "sharp", "long", "brief")


def _order(orders: Orders) -> Order:
    return Order(orders=orders, script=SCRIPT, persona=PERSONA, call_s=40.0)


async def test_latencies_and_stops_are_what_the_ruler_did() -> None:
    """Each measured time has its true one, on good lines and bad ones, and is close to it."""
    wanted = [
        Orders(name="quick", answers_after_ms=300, stops_after_ms=200, lines=LINES),
        Orders(name="slow", answers_after_ms=900, stops_after_ms=600, lines=LINES),
        Orders(name="shaking", jitter_ms=30, loss=0.02, seed=3, lines=LINES),
        Orders(name="gaps", stream="gaps", lines=LINES),
    ]
    async with exchange(pinned=False) as line:
        held, _, why = await line.hold_valid([_order(orders) for orders in wanted])
    assert held, why
    for call in held:
        errors = errors_of(call)
        assert len(errors.latency) == 2, call.orders.name
        assert len(errors.stop) == 1, call.orders.name
        for error_ms in (*errors.first_word, *errors.latency, *errors.stop):
            assert abs(error_ms) < WITHIN_MS, (call.orders.name, errors)
