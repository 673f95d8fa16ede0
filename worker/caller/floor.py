"""The agent's speech as turns. Owns when a turn is open; refuses to know what a caller says.

A turn is a stretch of speech whose pauses are all shorter than `endpoint_ms`. It is *open* from
its first sound until that much silence has followed its last, so a pause inside is not its end.
"""

from __future__ import annotations

import msgspec


class AgentTurn(msgspec.Struct):
    """One turn of the agent, in ms from connected."""

    began_ms: float
    audible_until_ms: float
    """Last audible audio known of; while the agent speaks this lags behind."""


class Floor:
    """Whether the agent speaks, and its turn. Contradictory edges (two starts) change nothing."""

    def __init__(self, endpoint_ms: float) -> None:
        self._endpoint_ms = endpoint_ms
        self.speaking = False
        self.speaking_since_ms = 0.0
        self.turn: AgentTurn | None = None
        """The open turn."""
        self.last_audible_ms: float | None = None
        """None until the agent spoke for the first time."""

    def started(self, at_ms: float, caller_ended_ms: float | None) -> None:
        """The agent became audible.

        A pause in which the caller finished saying something (`caller_ended_ms`) divides turns
        however short it is: what comes after it answers the caller.
        """
        if self.speaking:
            return
        self.speaking = True
        self.speaking_since_ms = at_ms
        turn = self.turn
        divided = (
            turn is not None
            and caller_ended_ms is not None
            and turn.audible_until_ms <= caller_ended_ms
        )
        if turn is None or divided:
            self.turn = AgentTurn(at_ms, at_ms)
        self.last_audible_ms = at_ms

    def stopped(self, at_ms: float) -> None:
        """The agent was last audible at `at_ms`."""
        if not self.speaking or self.turn is None:
            return
        self.speaking = False
        self.turn.audible_until_ms = max(at_ms, self.speaking_since_ms)
        self.last_audible_ms = self.turn.audible_until_ms

    def close_turn(self, now_ms: float) -> AgentTurn | None:
        """The turn that has now ended, once."""
        turn = self.turn
        if turn is None or self.speaking or now_ms - turn.audible_until_ms < self._endpoint_ms:
            return None
        self.turn = None
        return turn
