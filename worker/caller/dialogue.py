"""The two sides of the talk against each other. Owns which of the agent's turns answers the caller.

Refuses to act: `worker.caller.turns` asks, and decides.
"""

from __future__ import annotations

from collections.abc import Mapping

from worker.caller.floor import AgentTurn, Floor
from worker.caller.own_words import OwnWords
from worker.media.clip import Clip


class Dialogue:
    """The agent's floor and the caller's own words; all times in ms from connected."""

    def __init__(self, endpoint_ms: float, clips: Mapping[str, Clip]) -> None:
        self._endpoint_ms = endpoint_ms
        self.floor = Floor(endpoint_ms)
        self.own = OwnWords(clips)
        self.answer: AgentTurn | None = None
        """The agent's last finished turn since the caller's words, until a wait takes it."""

    @property
    def agent_has_spoken(self) -> bool:
        """The agent has been audible at least once."""
        return self.floor.last_audible_ms is not None

    @property
    def last_sound_ms(self) -> float:
        """End of the last sound of either side that has ended, 0 before the first."""
        return max(self.own.ended_ms or 0.0, self.floor.last_audible_ms or 0.0)

    def agent_started(self, at_ms: float) -> None:
        """The agent became audible."""
        self.floor.started(at_ms, self.own.ended_ms)

    def close_turn(self, now_ms: float) -> bool:
        """Close the agent's turn if it has ended by now; whether it was an answer."""
        turn = self.floor.close_turn(now_ms)
        if turn is None or self.own.playing is not None or not self.may_answer(turn, now_ms):
            return False
        self.answer = turn
        return True

    def take_answer(self) -> AgentTurn | None:
        """The finished answer, once, and only while the agent is not in another turn."""
        if self.floor.turn is not None:
            return None
        answer, self.answer = self.answer, None
        return answer

    def may_answer(self, turn: AgentTurn, now_ms: float) -> bool:
        """Whether this turn, open or ended, follows what the caller said last."""
        own_ended_ms = self.own.ended_ms
        if own_ended_ms is None:
            return True
        open_and_audible = turn is self.floor.turn and self.floor.speaking
        until_ms = now_ms if open_and_audible else turn.audible_until_ms
        if turn.began_ms >= self.own.began_ms:
            return until_ms > own_ended_ms
        return until_ms > own_ended_ms + self._endpoint_ms

    def over_each_other_ms(self, now_ms: float) -> float:
        """How long both have been speaking without a pause; 0 while either is silent."""
        if self.own.playing is None or not self.floor.speaking:
            return 0.0
        since_ms = max(self.floor.speaking_since_ms, self.own.audible_from_ms)
        return max(0.0, now_ms - since_ms)
