"""Expansion is a bijection, the same everywhere, and costs nothing before it is asked."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.call import CallSpec, call_seed
from shared.expansion import EXPANSION_VERSION, call_at, call_of_index, permuted
from shared.plan import RunPlan
from tests.unit.plan.plans import minimal, small_plan


def _plan(scenarios: int, personas: int, repeat: int, *, lanes: int = 1, seed: int = 7) -> RunPlan:
    tree = minimal()
    (agent,), (persona,), (scenario,) = tree["agents"], tree["personas"], tree["scenarios"]
    return small_plan(
        agents=[{**agent, "name": f"a{at}"} for at in range(lanes)],
        personas=[{**persona, "name": f"p{at}"} for at in range(personas)],
        scenarios=[{**scenario, "name": f"s{at}"} for at in range(scenarios)],
        repeat=repeat,
        seed=seed,
    )


@given(st.integers(1, 900), st.text(max_size=8))
def test_a_permutation_reaches_every_place_once(size: int, key: str) -> None:
    """For any size and key."""
    assert sorted(permuted(k, size, key) for k in range(size)) == list(range(size))


def test_every_combination_is_called_once_in_every_lane() -> None:
    """Lane by lane the whole matrix, with distinct seeds and indexes in order."""
    plan = _plan(3, 4, 5, lanes=2)
    calls = [call_of_index(plan, index) for index in range(plan.call_count)]
    assert [call.index for call in calls] == list(range(120))
    for lane in range(2):
        places = {
            (call.scenario, call.persona, call.repetition) for call in calls if call.lane == lane
        }
        assert places == {(s, p, r) for s in range(3) for p in range(4) for r in range(5)}
    assert len({call.seed for call in calls}) == 120


def test_seeds_come_from_names_not_from_places() -> None:
    """A call keeps its chance when others are added before it."""
    plan = _plan(2, 2, 2)
    call = call_at(plan, 0, 3)
    names = ("a0", f"s{call.scenario}", f"p{call.persona}")
    assert call.seed == call_seed(7, *names, call.repetition)


def test_the_order_depends_on_seed_and_agent_alone() -> None:
    """The same plan twice is the same order, another seed or agent another one."""

    def order(plan: RunPlan, lane: int = 0) -> list[tuple[int, int, int]]:
        calls = (call_at(plan, lane, k) for k in range(plan.calls_per_lane))
        return [(call.scenario, call.persona, call.repetition) for call in calls]

    plan = _plan(3, 4, 5, lanes=2)
    assert order(plan) == order(_plan(3, 4, 5))
    assert order(plan) != order(plan, lane=1)
    assert order(plan) != order(_plan(3, 4, 5, seed=8))


def test_version_one_stays_as_it_is() -> None:
    """Runs store the version: these calls may only change together with it."""
    assert EXPANSION_VERSION == 1
    plan = _plan(3, 4, 5)
    assert [permuted(k, 12, "7/a") for k in range(12)] == [5, 8, 0, 4, 9, 3, 1, 7, 10, 6, 11, 2]
    assert call_at(plan, 0, 0) == CallSpec(
        index=0, lane=0, scenario=1, persona=3, repetition=0, seed=4461672448042183968
    )


def test_a_prefix_of_a_run_is_a_fair_sample() -> None:
    """Half of a long lane holds about half of the calls of every scenario."""
    plan = _plan(10, 10, 100)
    counts = [0] * 10
    for k in range(5000):
        counts[call_at(plan, 0, k).scenario] += 1
    assert min(counts) > 400
    assert max(counts) < 600


def test_ten_million_calls_cost_nothing_in_advance() -> None:
    """Calls anywhere in a huge lane come at once."""
    plan = _plan(10, 10, 100_000, lanes=3)
    began = time.monotonic()
    calls = [call_at(plan, 2, k) for k in range(0, 10_000_000, 9_973)]
    assert time.monotonic() - began < 2
    assert len({(call.scenario, call.persona, call.repetition) for call in calls}) == len(calls)


@pytest.mark.parametrize(("lane", "k"), [(-1, 0), (1, 0), (0, -1), (0, 8)])
def test_outside_the_plan_is_an_index_error(lane: int, k: int) -> None:
    """Neither lane nor call wraps around."""
    with pytest.raises(IndexError):
        call_at(_plan(2, 2, 2), lane, k)
    with pytest.raises(IndexError):
        call_of_index(_plan(2, 2, 2), -1 if k < 0 else 8)
