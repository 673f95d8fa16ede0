"""What the agent says, in order. Owns the words; refuses to know what the caller said.

This is no language model: the agent hears *that* somebody spoke, never *what* they said, and
answers with the next line. So callers in `booking.yaml` say things that these lines fit.
"""

from __future__ import annotations

GREETING = "Casa Lumina, good evening!"
REPLIES = (
    "Gladly, for how many people?",
    "And at what time may we welcome you all and under whose name may I reserve a table?",
    "Thank you, your table is confirmed, see you tonight!",
)
AFTERTHOUGHT = "You are welcome, goodbye!"
"""For a caller who says something after the last reply."""

ALL_LINES = (GREETING, *REPLIES, AFTERTHOUGHT)
