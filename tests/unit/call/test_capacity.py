"""The gate in front of a media process."""

from __future__ import annotations

from tests.virtual_time import pass_time, run_virtually
from worker.capacity import JOINS_PER_S, Capacity


def test_slots_are_a_hard_ceiling() -> None:
    """No more calls than slots, whatever the load says."""

    async def main() -> None:
        capacity = Capacity(slots=2)
        for _ in range(2):
            assert capacity.has_room
            capacity.joined()
        await pass_time(10)
        assert not capacity.has_room
        capacity.left()
        assert capacity.has_room

    run_virtually(main())


def test_joins_are_spread_over_seconds() -> None:
    """Connecting is the CPU peak of a call, so a burst waits for the next second."""

    async def main() -> None:
        capacity = Capacity(slots=100)
        for _ in range(JOINS_PER_S):
            assert capacity.has_room
            capacity.joined()
        assert not capacity.has_room
        await pass_time(1.1)
        assert capacity.has_room

    run_virtually(main())


def test_young_calls_are_reserved_for() -> None:
    """Calls too young to show in the load count with the learned weight."""

    async def main() -> None:
        capacity = Capacity(slots=1000)
        taken = 0
        for _ in range(40):
            while capacity.has_room:
                capacity.joined()
                taken += 1
            await pass_time(0.1)
        assert taken <= 33  # 0.65 of a core at 0.02 a call

    run_virtually(main())


def test_late_packets_stop_admission_but_never_the_first_call() -> None:
    """A busy host takes nothing more; a process without calls always takes one."""

    async def main() -> None:
        capacity = Capacity(slots=10)
        capacity.sample(lateness_p99_ms=50.0)
        assert capacity.has_room
        capacity.joined()
        await pass_time(2)
        assert not capacity.has_room
        capacity.sample(lateness_p99_ms=1.0)
        assert capacity.has_room

    run_virtually(main())
