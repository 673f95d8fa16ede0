"""Words beside sounds: what the agent reported to have said, put to the turns that were heard.

Owns the matching by time; hears nothing itself. A report comes when its sentence has been played
(RTVI `bot-output`, completed), so it belongs to the latest turn of the agent that had begun by
then.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from shared.result import Evidence, Turn


def with_words(turns: list[Turn], evidence: Evidence) -> list[Turn]:
    """The same turns, the agent's with the text it reported; a turn without a report keeps None."""
    places = [place for place, turn in enumerate(turns) if turn.who == "agent"]
    starts_ms = [turns[place].start_ms for place in places]
    words: dict[int, list[str]] = {}
    for report in evidence.said():
        latest = bisect_right(starts_ms, report.at_ms) - 1
        if latest >= 0:
            words.setdefault(places[latest], []).append(report.text)
    return [
        msgspec.structs.replace(turn, text=" ".join(words[place]), text_from="agent")
        if place in words
        else turn
        for place, turn in enumerate(turns)
    ]
