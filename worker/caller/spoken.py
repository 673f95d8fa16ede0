"""What the caller sounded like as it left the socket. Owns the record, decides nothing.

Edges follow from the packets that were really sent: a clip's audible edges, counted from the time
at which its first packet passed, or from a later packet where a stall moved the rest.
"""

from __future__ import annotations

import msgspec

from worker.caller.events import Play
from worker.media.caller_turn import CallerTurn
from worker.media.clip import PACKET_MS, Clip


class _Unfinished(msgspec.Struct):
    play: Play
    clip: Clip
    start_ms: float | None = None
    """First audible sound; None until a packet is out."""
    origin_ms: float = 0.0
    """Send time of the clip's first packet, counted back from the last one sent."""
    sent_until_ms: float = 0.0


class SpokenTurns:
    """The caller's turns so far and the one it is at."""

    def __init__(self) -> None:
        self._turns: list[CallerTurn] = []
        self._current: _Unfinished | None = None

    @property
    def unfinished(self) -> bool:
        """Something was begun and has neither ended nor been cut."""
        return self._current is not None

    def begin(self, play: Play, clip: Clip) -> None:
        """Its first packet will be the next one sent."""
        self._current = _Unfinished(play, clip)

    def sent(self, at_ms: float, position: int) -> None:
        """Packet `position` of the current clip passed the socket at `at_ms`."""
        current = self._current
        if current is None:
            return
        current.origin_ms = at_ms - position * PACKET_MS
        current.sent_until_ms = at_ms + PACKET_MS
        if current.start_ms is None:
            current.start_ms = max(at_ms, current.origin_ms + current.clip.audible_start_ms)

    def finish(self) -> None:
        """Played out or cut: nothing of it is sent any more."""
        turn = self._record()
        if turn is not None:
            self._turns.append(turn)
        self._current = None

    def turns(self) -> list[CallerTurn]:
        """All turns in order, the unfinished one as far as it is out."""
        current = self._record()
        return [*self._turns, *([] if current is None else [current])]

    def _record(self) -> CallerTurn | None:
        """None where nothing audible was sent."""
        current = self._current
        if current is None or current.start_ms is None:
            return None
        audible_end_ms = current.origin_ms + current.clip.audible_end_ms
        end_ms = min(audible_end_ms, current.sent_until_ms)
        if end_ms <= current.start_ms:
            return None
        play = current.play
        return CallerTurn(
            step=play.speech.step,
            kind=play.kind,
            start_ms=current.start_ms,
            end_ms=end_ms,
            text=play.speech.text,
            cut=current.sent_until_ms < audible_end_ms,
            agent_was_speaking=play.over_agent,
        )
