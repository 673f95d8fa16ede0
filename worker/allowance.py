"""How much a stranger may send: a steady rate and a burst on top. Owns the count, drops nothing."""

from __future__ import annotations


class Allowance:
    """A token bucket on the clock of `worker.media.clock`; full at first."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_ns = per_s / 1e9
        self._burst = burst
        self._left = burst
        self._at_ns: int | None = None
        self.refused = 0

    def take(self, now_ns: int) -> bool:
        """One more; False where that is too many."""
        if self._at_ns is not None:
            grown = max(0, now_ns - self._at_ns) * self._per_ns
            self._left = min(self._burst, self._left + grown)
        self._at_ns = now_ns
        if self._left < 1:
            self.refused += 1
            return False
        self._left -= 1
        return True
