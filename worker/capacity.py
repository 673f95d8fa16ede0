"""How many calls this process may hold. Owns the gate; refuses to know what a call does.

A call is taken while `busy share of the loop thread + learned weight of a call × calls too young to
show ≤ 0.65`, at most a few joins per second, and not while packets leave late. CPU time alone is
blind to stolen and throttled time; lateness alone warns too late. A process that holds no call
always takes one, whatever its host looks like: its own validity limits then speak for the result.
"""

from __future__ import annotations

import time
from collections import deque

from shared import metrics
from worker.media.clock import now_ns

TARGET_SHARE = 0.65
YOUNG_S = 4.0
JOINS_PER_S = 5
LATENESS_LIMIT_MS = 5.0
FIRST_WEIGHT = 0.02
"""Share of a core per call, until this process has learned better."""
MEMORY = 0.7
"""Weight of the past in the moving averages."""


class Capacity:
    """The gate in front of one media process."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.running = 0
        self._joined_ns: deque[int] = deque(maxlen=slots)
        self._busy_share = 0.0
        self._weight = FIRST_WEIGHT
        self._lateness_p99_ms = 0.0
        self._sampled_ns = now_ns()
        self._sampled_cpu_s = time.thread_time()

    @property
    def has_room(self) -> bool:
        """Whether one more call may be taken now."""
        if self.running >= self.slots:
            return False
        if self.running == 0:
            return True
        now = now_ns()
        if sum(now - joined < 1e9 for joined in self._joined_ns) >= JOINS_PER_S:
            return False
        if self._lateness_p99_ms > LATENESS_LIMIT_MS:
            return False
        young = sum(now - joined < YOUNG_S * 1e9 for joined in self._joined_ns)
        return self._busy_share + self._weight * (young + 1) <= TARGET_SHARE

    def joined(self) -> None:
        """A call was taken."""
        self.running += 1
        self._joined_ns.append(now_ns())

    def left(self) -> None:
        """A call ended."""
        self.running -= 1

    def sample(self, lateness_p99_ms: float) -> None:
        """Look at the loop thread's CPU time since the last look; call about once a second.

        Must be called from the loop's thread, whose time it reads.
        """
        now, cpu_s = now_ns(), time.thread_time()
        elapsed_s = max((now - self._sampled_ns) / 1e9, 1e-3)
        share = (cpu_s - self._sampled_cpu_s) / elapsed_s
        self._sampled_ns, self._sampled_cpu_s = now, cpu_s
        self._busy_share = MEMORY * self._busy_share + (1 - MEMORY) * share
        self._lateness_p99_ms = lateness_p99_ms
        if self.running:
            self._weight = MEMORY * self._weight + (1 - MEMORY) * share / self.running
        metrics.loop_busy(self._busy_share)
