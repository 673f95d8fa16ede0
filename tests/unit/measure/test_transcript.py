"""The agent's reported words beside the turns in which they were heard."""

from __future__ import annotations

from shared.result import Evidence, Reported, Turn
from worker.measure.transcript import with_words


def _turn(who: str, start_ms: float, end_ms: float, text: str | None = None) -> Turn:
    return Turn(who=who, kind="turn", start_ms=start_ms, end_ms=end_ms, text=text)


def _said(at_ms: float, text: str) -> Reported:
    return Reported(at_ms=at_ms, kind="said", text=text)


def test_a_report_belongs_to_the_latest_turn_that_had_begun() -> None:
    """Sentences of one turn are joined; the caller's own words stay as they are."""
    turns = [
        _turn("agent", 300, 1900),
        _turn("caller", 2700, 4000, "A table."),
        _turn("agent", 4800, 7000),
    ]
    said = [_said(1000, "Hello."), _said(1950, "Welcome."), _said(7050, "For how many?")]
    worded = with_words(turns, Evidence(source="rtvi", reported=said))
    assert [turn.text for turn in worded] == ["Hello. Welcome.", "A table.", "For how many?"]
    assert [turn.text_from for turn in worded] == ["agent", None, "agent"]


def test_nothing_is_made_up() -> None:
    """A turn without a report has no text, and a report before any turn goes to none."""
    turns = [_turn("agent", 300, 900), _turn("agent", 2000, 2500)]
    worded = with_words(turns, Evidence(reported=[_said(100, "early"), _said(2600, "late")]))
    assert [turn.text for turn in worded] == [None, "late"]
