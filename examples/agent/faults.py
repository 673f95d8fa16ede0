"""The faults that can be planted, one per run of the agent. Owns their names and what each does.

The fault itself sits where it belongs (a late reply in `session.py`, clipping in `voice.py`):
search for `Fault.` to see every place where this agent misbehaves on purpose.
"""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """What goes wrong, named as `--fault` takes it."""

    SLOW_REPLY = "slow-reply"
    NEVER_SPEAKS = "never-speaks"
    DEAF = "deaf"
    IGNORES_BARGE_IN = "ignores-barge-in"
    HANGS_UP_EARLY = "hangs-up-early"
    CLIPPED_AUDIO = "clipped-audio"
    LOST_PACKETS = "lost-packets"
    REFUSES_OFFER = "refuses-offer"
    ANSWERS_WITHOUT_AUDIO = "answers-without-audio"
    FREEZES = "freezes"


SENTENCES: dict[Fault, str] = {
    Fault.SLOW_REPLY: "replies 4 s late",
    Fault.NEVER_SPEAKS: "connects, sends silence and says nothing",
    Fault.DEAF: "greets, then reacts to nothing it hears",
    Fault.IGNORES_BARGE_IN: "talks on when it is spoken over",
    Fault.HANGS_UP_EARLY: "hangs up after its first reply",
    Fault.CLIPPED_AUDIO: "drives its voice hard into clipping",
    Fault.LOST_PACKETS: "loses 8 % of its audio packets",
    Fault.REFUSES_OFFER: "answers every offer with HTTP 503",
    Fault.ANSWERS_WITHOUT_AUDIO: "answers, but will only listen: no audio comes from it",
    Fault.FREEZES: "stops sending packets in the middle of its first reply, and stays connected",
}
