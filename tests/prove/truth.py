"""Whether latencies and stops are true: call.json against the ruler's log, turn by turn."""

from __future__ import annotations

import asyncio
import math
import sys
from itertools import product, zip_longest

import msgspec

from shared.persona import Persona
from shared.scenario import HangUp, SayExactly, ScriptStep, WaitForAgent
from tests.prove.exchange import Held, Order, exchange
from tests.prove.figures import Figure, Proof, error_figures
from tests.ruler.journal import Entry, Heard, Said
from tests.ruler.orders import Orders

PART = "truth"
ANSWERS_MS = (300.0, 800.0, 1500.0)
STOPS_MS = (200.0, 600.0)
TURNS_NEEDED = 60
EARLY_NS = 500_000_000
PERSONAS = (
    Persona(name="calm", yield_after_ms=None),
    Persona(name="brisk", voice="en-gb", speed=1.2, pitch=1.2, yield_after_ms=None),
)
INTERRUPTING: list[ScriptStep] = [
    WaitForAgent(),
    SayExactly(text="Good evening I would like a table"),
    WaitForAgent(),
    SayExactly(text="What are your opening hours"),
    SayExactly(text="Sorry that is all I need", interrupt_after_ms=900),
    WaitForAgent(),
    SayExactly(text="And what about Sunday"),
    SayExactly(text="Thanks that will do for me", interrupt_after_ms=1300),
    WaitForAgent(),
    SayExactly(text="At seven please"),
    WaitForAgent(),
    SayExactly(text="My name is Miller"),
    WaitForAgent(),
    HangUp(),
]
POLITE = [step for step in INTERRUPTING if getattr(step, "interrupt_after_ms", None) is None]
LINES_INTERRUPTED = ("greeting", "short", "long", "sharp", "long", "brief", "soft", "sharp")
LINES_POLITE = ("greeting", "short", "soft", "sharp", "brief", "long")


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of network or agent, with its targets."""

    name: str
    orders: dict[str, object]
    polite: bool = False
    median_ms: float | None
    latency_p95_ms: float
    barge_in_p95_ms: float


VARIANTS = (
    Variant(name="clean", orders={}, median_ms=5, latency_p95_ms=20, barge_in_p95_ms=30),
    Variant(
        name="2 % loss, 30 ms jitter",
        orders={"loss": 0.02, "jitter_ms": 30.0},
        median_ms=None,
        latency_p95_ms=60,
        barge_in_p95_ms=60,
    ),
    Variant(
        name="bursts after pauses",
        orders={"stream": "bursts"},
        polite=True,
        median_ms=None,
        latency_p95_ms=30,
        barge_in_p95_ms=30,
    ),
    Variant(
        name="timestamp gaps",
        orders={"stream": "gaps"},
        median_ms=None,
        latency_p95_ms=30,
        barge_in_p95_ms=30,
    ),
)


class Errors(msgspec.Struct, kw_only=True):
    """Measured minus true, in ms; infinite where one of the two is missing."""

    first_word: list[float] = []
    latency: list[float] = []
    stop: list[float] = []

    def add(self, other: Errors) -> None:
        """Those of one more call."""
        self.first_word += other.first_word
        self.latency += other.latency
        self.stop += other.stop


def prove(*, quick: bool) -> Proof:
    """All variants, one after another."""
    return asyncio.run(_prove(quick))


async def _prove(quick: bool) -> Proof:
    figures: list[Figure] = []
    notes: list[str] = []
    details: dict[str, object] = {}
    repeated = 0
    async with exchange() as line:
        for variant in VARIANTS:
            sys.stderr.write(f"{PART}: {variant.name}\n")
            held, again, why = await line.hold_valid(orders_of(variant, quick=quick))
            repeated += again
            notes += why
            errors, wire = Errors(), Errors()
            for call in held:
                errors.add(errors_of(call))
                wire.add(errors_of(call, at_wire=True))
            figures += _figures(variant, errors)
            if "loss" in variant.orders:
                figures += error_figures(
                    PART,
                    f"{variant.name}: response latency against the socket",
                    wire.latency,
                    median_ms=None,
                    p95_ms=variant.latency_p95_ms,
                )
            details[variant.name] = {"errors_ms": errors, "calls": len(held)}
    figures.append(_enough(figures, quick))
    return Proof(figures=figures, repeated=repeated, notes=notes, details=details)


def orders_of(variant: Variant, *, quick: bool) -> list[Order]:
    """A call for each answer time and stop time, each twice; quick: each once."""
    wanted = []
    pairs = list(product(ANSWERS_MS, STOPS_MS)) * (1 if quick else 2)
    for number, (answer_ms, stop_ms) in enumerate(pairs):
        lines = LINES_POLITE if variant.polite else LINES_INTERRUPTED
        orders = Orders(
            name=f"{variant.name}/{number}",
            greets_after_ms=400.0 + 130 * number,
            answers_after_ms=answer_ms,
            stops_after_ms=stop_ms,
            lines=lines,
            seed=number,
        )
        orders = msgspec.convert(msgspec.to_builtins(orders) | variant.orders, Orders)
        wanted.append(
            Order(
                orders=orders,
                script=POLITE if variant.polite else INTERRUPTING,
                persona=PERSONAS[number // 2 % 2],
            )
        )
    return wanted


def errors_of(held: Held, *, at_wire: bool = False) -> Errors:
    """One call's errors. `at_wire`: the agent's sounds begin where the network let them through."""
    measures = held.result.measures
    first_ms = measures.time_to_first_word_ms
    begins_ns = [begin_of(said, at_wire) for said in held.entry.said]
    true_first_ms = (begins_ns[0] - held.connected_ns) / 1e6 if begins_ns else math.inf
    latencies_ms, stops_ms = true_times(held.entry, at_wire=at_wire)
    return Errors(
        first_word=[math.inf if first_ms is None else first_ms - true_first_ms],
        latency=_paired(measures.response_latency_ms.values or [], latencies_ms),
        stop=_paired(measures.barge_in_stop_ms.values or [], stops_ms),
    )


def true_times(entry: Entry, *, at_wire: bool) -> tuple[list[float], list[float]]:
    """Response latencies and barge-in stops of one call by the ruler's log alone, in ms."""
    latencies, stops = [], []
    for stretch in entry.heard:
        interrupted = [said for said in entry.said if _spoken_over(said, stretch)]
        if interrupted:
            stops.append((interrupted[-1].end_ns - stretch.start_ns) / 1e6)
            continue
        begins_ns = [begin_of(said, at_wire) for said in entry.said]
        answers_ns = [begin for begin in begins_ns if begin > stretch.end_ns - EARLY_NS]
        if answers_ns:
            latencies.append((answers_ns[0] - stretch.end_ns) / 1e6)
    return latencies, stops


def begin_of(said: Said, at_wire: bool) -> int:
    """When a sound of the ruler began."""
    return said.wire_start_ns if at_wire and said.wire_start_ns else said.start_ns


def _spoken_over(said: Said, stretch: Heard) -> bool:
    return said.start_ns < stretch.start_ns < said.end_ns


def _paired(measured: list[float], true: list[float]) -> list[float]:
    if len(measured) != len(true):
        return [math.inf for _ in zip_longest(measured, true)]
    return [one - other for one, other in zip(measured, true, strict=True)]


def _figures(variant: Variant, errors: Errors) -> list[Figure]:
    name = variant.name
    rows = error_figures(
        PART,
        f"{name}: response latency",
        errors.latency,
        median_ms=variant.median_ms,
        p95_ms=variant.latency_p95_ms,
    )
    rows += error_figures(
        PART,
        f"{name}: time to first word",
        errors.first_word,
        median_ms=variant.median_ms,
        p95_ms=variant.latency_p95_ms,
    )
    if not variant.polite:
        rows += error_figures(
            PART,
            f"{name}: barge-in stop",
            errors.stop,
            median_ms=None,
            p95_ms=variant.barge_in_p95_ms,
        )
    return rows


def _enough(figures: list[Figure], quick: bool) -> Figure:
    turns = sum(
        one.n for one in figures if one.name.startswith("clean: response latency, error p95")
    )
    needed = TURNS_NEEDED // 2 if quick else TURNS_NEEDED
    return Figure(
        part=PART,
        name="clean: turns measured",
        value=turns,
        unit="",
        target=f">= {needed}",
        met=turns >= needed,
        n=turns,
    )
