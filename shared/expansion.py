"""Which call stands where in a run: arithmetic, not data. Owns no state and reads no clock.

The agent is the outermost digit (the lane); within a lane, scenarios × personas × repetitions are
put into an order that depends on the plan's seed and the agent's name, so that a run that is cut
short has tried a fair sample. A run stores `EXPANSION_VERSION`: a change of the arithmetic is a new
version.

The order is a keyed permutation of [0, n) in constant memory: a balanced Feistel network over the
next even number of bits, walked along its cycle until it lands below n (Black and Rogaway, "Ciphers
with Arbitrary Finite Domains", 2002; fewer than four steps on average).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from shared.call import CallSpec, call_seed
from shared.plan import RunPlan

EXPANSION_VERSION = 1

_ROUNDS = 8
_MASK_64 = (1 << 64) - 1


def call_at(plan: RunPlan, lane: int, k: int) -> CallSpec:
    """The k-th call of a lane. Raises IndexError outside the plan."""
    if not 0 <= lane < len(plan.agents):
        raise IndexError(f"lane {lane} of {len(plan.agents)}")
    if not 0 <= k < plan.calls_per_lane:
        raise IndexError(f"call {k} of {plan.calls_per_lane} in a lane")
    agent = plan.agents[lane]
    place = permuted(k, plan.calls_per_lane, f"{plan.seed}/{agent.name}")
    rest, persona = divmod(place, len(plan.personas))
    repetition, scenario = divmod(rest, len(plan.scenarios))
    seed = call_seed(
        plan.seed,
        agent.name,
        plan.scenarios[scenario].name,
        plan.personas[persona].name,
        repetition,
    )
    return CallSpec(
        index=lane * plan.calls_per_lane + k,
        lane=lane,
        scenario=scenario,
        persona=persona,
        repetition=repetition,
        seed=seed,
    )


def call_of_index(plan: RunPlan, index: int) -> CallSpec:
    """The call with this index in the run. Raises IndexError outside the plan."""
    if not 0 <= index < plan.call_count:
        raise IndexError(f"call {index} of {plan.call_count}")
    return call_at(plan, *divmod(index, plan.calls_per_lane))


def permuted(k: int, size: int, key: str) -> int:
    """The place of `k` in the keyed order of [0, size): a bijection."""
    half_bits = max(1, ((size - 1).bit_length() + 1) // 2)
    keys = _round_keys(key)
    place = _feistel(k, half_bits, keys)
    while place >= size:
        place = _feistel(place, half_bits, keys)
    return place


@lru_cache(maxsize=4096)
def _round_keys(key: str) -> tuple[int, ...]:
    digest = hashlib.shake_256(f"phonebank expansion 1/{key}".encode()).digest(8 * _ROUNDS)
    return tuple(int.from_bytes(digest[at : at + 8], "big") for at in range(0, len(digest), 8))


def _feistel(value: int, half_bits: int, keys: tuple[int, ...]) -> int:
    mask = (1 << half_bits) - 1
    left, right = value >> half_bits, value & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right ^ key) & mask)
    return (left << half_bits) | right


def _mixed(value: int) -> int:
    """Finaliser of splitmix64 (Steele, Lea and Flood, 2014)."""
    value &= _MASK_64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK_64
    return value ^ (value >> 31)
