"""The ticker: an absolute schedule, shared by all, in virtual time."""

from __future__ import annotations

import asyncio

from tests.virtual_time import run_virtually
from worker.media.clock import now_ns
from worker.media.ticker import Seat, Ticker

MS = 1_000_000


async def _pulsing(ticker: Ticker, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await ticker.run()
    except TimeoutError:
        pass


async def _passed(seconds: float) -> None:
    """Virtual time goes on."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_later(seconds, done.set_result, None)
    await done


def test_a_seat_ticks_each_20_ms_without_drift() -> None:
    """Frame k is due 20 ms * k after frame 0, and runs then."""

    async def main() -> None:
        ticker, ticks = Ticker(), []
        ticker.join(lambda frame, due_ns: ticks.append((frame, due_ns, now_ns())))
        await _pulsing(ticker, 2.0)
        first_ns = ticks[0][1]
        assert len(ticks) in (99, 100)
        assert [frame for frame, _, _ in ticks] == list(range(len(ticks)))
        for frame, due_ns, ran_ns in ticks:
            assert abs(due_ns - first_ns - frame * 20 * MS) < 1000
            assert abs(ran_ns - due_ns) < 1 * MS

    run_virtually(main())


def test_seats_are_spread_over_the_slots() -> None:
    """Eight seats tick two by two, 5 ms apart."""

    async def main() -> None:
        ticker = Ticker()
        due: dict[int, int] = {}

        def joined(number: int) -> Seat:
            def on_tick(_frame: int, due_ns: int) -> None:
                due.setdefault(number, due_ns)

            return ticker.join(on_tick)

        seats = [joined(number) for number in range(8)]
        await _pulsing(ticker, 0.1)
        first_ns = min(due.values())
        assert sorted(round((ns - first_ns) / MS) for ns in due.values()) == [
            0, 0, 5, 5, 10, 10, 15, 15,
        ]  # fmt: skip
        assert len({seat.slot for seat in seats}) == 4

    run_virtually(main())


def _stall(loop: asyncio.AbstractEventLoop, seconds: float) -> None:
    """What a blocked loop is in virtual time: the clock goes on and nothing runs."""
    loop._jumping.now_s += seconds  # type: ignore[attr-defined]


def test_a_short_stall_is_caught_up_at_once() -> None:
    """After 150 ms every frame that was due is sent, with its own due time."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ticker, ticks = Ticker(), []

        def on_tick(frame: int, due_ns: int) -> None:
            ticks.append((frame, due_ns, now_ns()))
            if frame == 10:
                _stall(loop, 0.15)

        seat = ticker.join(on_tick)
        await _pulsing(ticker, 1.0)
        assert [frame for frame, _, _ in ticks] == list(range(len(ticks)))
        assert seat.skipped == 0
        late = [ran_ns - due_ns for _, due_ns, ran_ns in ticks]
        assert 100 * MS < max(late) < 150 * MS
        assert sum(1 for ns in late if ns > 5 * MS) == 7

    run_virtually(main())


def test_a_long_stall_skips_ahead_and_says_how_far() -> None:
    """After 1 s the overdue frames are gone, indexes jump over them, and the schedule stands."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ticker, ticks = Ticker(), []

        def on_tick(frame: int, due_ns: int) -> None:
            ticks.append((frame, due_ns, now_ns()))
            if frame == 10:
                _stall(loop, 1.0)

        seat = ticker.join(on_tick)
        await _pulsing(ticker, 2.0)
        frames = [frame for frame, _, _ in ticks]
        assert frames == [
            *range(11),
            *range(11 + seat.skipped, 11 + seat.skipped + len(ticks) - 11),
        ]
        assert 48 <= seat.skipped <= 50
        first_ns = ticks[0][1]
        assert all(abs(due - first_ns - frame * 20 * MS) < 1000 for frame, due, _ in ticks)
        assert all(ran - due < 25 * MS for _, due, ran in ticks)

    run_virtually(main())


def test_whoever_leaves_ticks_no_more() -> None:
    """From within its own tick, twice over, and while others stay."""

    async def main() -> None:
        ticker = Ticker()
        counts = {"stays": 0, "leaves": 0}
        seats: list[Seat] = []

        def leaves(frame: int, _due_ns: int) -> None:
            counts["leaves"] += 1
            if frame == 4:
                seats[0].leave()
                seats[0].leave()

        def stays(_frame: int, _due_ns: int) -> None:
            counts["stays"] += 1

        seats.append(ticker.join(leaves))
        ticker.join(stays)
        await _pulsing(ticker, 1.0)
        assert counts["leaves"] == 5
        assert counts["stays"] >= 49

    run_virtually(main())


def test_an_empty_ticker_waits_for_its_next_seat() -> None:
    """A pulse that everybody left starts again for whoever comes later, from frame 0."""

    async def main() -> None:
        ticker, frames = Ticker(), []
        async with asyncio.TaskGroup() as group:
            pulse = group.create_task(ticker.run())
            seat = ticker.join(lambda *_: None)
            await _passed(0.5)
            seat.leave()
            await _passed(60)
            ticker.join(lambda frame, _due_ns: frames.append(frame))
            await _passed(0.2)
            pulse.cancel()
        assert frames == list(range(len(frames)))
        assert 9 <= len(frames) <= 10

    run_virtually(main())
