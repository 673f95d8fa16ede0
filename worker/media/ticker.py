"""The one 20 ms pulse of all calls in a process. Owns when a frame is due; knows nothing of audio.

A frame of 20 ms is cut into 4 slots of 5 ms so that calls do not all send at the same instant. The
schedule is absolute on the loop's clock: a late frame never moves the ones after it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from shared.statistics import nearest_rank

SLOTS = 4
SLOT_S = 0.005
MAX_CATCH_UP_S = 0.2
"""After a shorter stall all overdue frames are sent at once; a longer one drops them."""
RECENT_TICKS = 1000

OnTick = Callable[[int, int], None]


class Seat:
    """A call's place in the pulse."""

    def __init__(self, ticker: Ticker, slot: int, on_tick: OnTick) -> None:
        self._ticker = ticker
        self.slot = slot
        self.on_tick = on_tick
        self.next_frame = 0
        """Index of the next frame; frames dropped by a stall have an index of their own."""
        self.skipped = 0
        """Frames that a stall dropped: the index given to `on_tick` jumps by as many."""

    def leave(self) -> None:
        """No more ticks, from now; may be called again, and from within `on_tick`."""
        self._ticker.dismiss(self)


class Ticker:
    """Calls `on_tick(frame_index, due_ns)` for every seat each 20 ms while `run` runs.

    `due_ns` is the frame's place on `worker.media.clock`; what `now_ns() - due_ns` says is the
    frame's lateness. An `on_tick` must not raise: what it raises ends the pulse of every call.
    """

    def __init__(self) -> None:
        self._slots: list[list[Seat]] = [[] for _ in range(SLOTS)]
        self._occupied = asyncio.Event()
        self._late_s: deque[float] = deque(maxlen=RECENT_TICKS)

    def lateness_p99_ms(self) -> float:
        """How late the ticks of the last five busy seconds were, nearest rank; 0.0 before any."""
        ordered = sorted(self._late_s)
        return nearest_rank(ordered, 99) * 1000 if ordered else 0.0

    def join(self, on_tick: OnTick) -> Seat:
        """A seat in the emptiest slot; its frame 0 is due within 20 ms."""
        slot = min(range(SLOTS), key=lambda index: len(self._slots[index]))
        seat = Seat(self, slot, on_tick)
        self._slots[slot].append(seat)
        self._occupied.set()
        return seat

    def dismiss(self, seat: Seat) -> None:
        """Take a seat away; one that is already gone is no error."""
        if seat in self._slots[seat.slot]:
            self._slots[seat.slot].remove(seat)
        if not any(self._slots):
            self._occupied.clear()

    async def run(self) -> None:
        """Pulse until cancelled; sleeps without a timer while nobody is seated."""
        loop = asyncio.get_running_loop()
        while True:
            await self._occupied.wait()
            await self._pulse(loop)

    async def _pulse(self, loop: asyncio.AbstractEventLoop) -> None:
        began_s = loop.time() + SLOT_S
        tick = 0
        while self._occupied.is_set():
            due_s = began_s + tick * SLOT_S
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            late_s = loop.time() - due_s
            self._late_s.append(late_s)
            if late_s > MAX_CATCH_UP_S:
                overdue = int(late_s / SLOT_S) + 1
                self._skip(tick, overdue)
                tick += overdue
                continue
            # All that is due by now, without a turn of the loop between.
            last = tick + max(0, int(late_s / SLOT_S))
            while tick <= last:
                self._fire(tick % SLOTS, int((began_s + tick * SLOT_S) * 1e9))
                tick += 1

    def _fire(self, slot: int, due_ns: int) -> None:
        for seat in tuple(self._slots[slot]):
            if seat not in self._slots[slot]:
                continue  # dismissed by one that was served before it in this tick
            frame = seat.next_frame
            seat.next_frame += 1
            seat.on_tick(frame, due_ns)

    def _skip(self, tick: int, count: int) -> None:
        for slot, seats in enumerate(self._slots):
            frames = len(range(tick + (slot - tick) % SLOTS, tick + count, SLOTS))
            for seat in seats:
                seat.next_frame += frames
                seat.skipped += frames
