"""The caller on the line: real Opus both ways, frame by frame, with times set by the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from shared.persona import Persona
from shared.plan import Limits
from shared.result import Reported
from shared.scenario import ScriptStep
from tests.unit.caller.rehearsal import CALM, hang_up, persona, say, scenario, wait
from worker.caller.caller import Caller
from worker.caller.script import compile_script
from worker.media.clip import Clip
from worker.media.opus import encode_packets
from worker.media.speaker import Sending
from worker.transports.transport import ReceivedPacket

FRAME_NS = 20_000_000
CONNECTED_NS = 5_000_000_000
TOLERANCE_MS = 25.0
"""One frame, and a detector that works in blocks of 20 ms."""


def tone(length_ms: int) -> list[bytes]:
    t = np.arange(length_ms * 48) / 48_000
    return encode_packets((0.2 * np.sin(2 * np.pi * 330 * t)).astype(np.float32))


SILENT = encode_packets(np.zeros(960, np.float32))[0]
SPEECH = tone(1000)[5]


class Line:
    """Runs a caller against an agent that is audible from..to (ms) until it hangs up."""

    def __init__(
        self, *steps: ScriptStep, who: Persona = CALM, agent: Sequence[tuple[int, int]] = ()
    ) -> None:
        script = compile_script(scenario(*steps), who, 7)
        packets = tone(2000)
        self.sound = {
            request.hash: Clip(request.hash, packets, bytes(len(packets)), 40.0, 1990.0)
            for request in script.requests()
        }
        bed = Clip(script.bed.hash, [SILENT], bytes([127]))
        self.sound[script.bed.hash] = bed
        self.caller = Caller(script, self.sound, who, Limits())
        self.sent: list[Sending] = []
        self.now_ms = 0
        self._agent = agent
        self._sequence = 0
        self.caller.connected(CONNECTED_NS)

    def run(self, until: Callable[[], bool] | None = None, most_ms: int = 60_000) -> Line:
        """Until the condition holds, by default until the caller has hung up."""
        done = until or (lambda: self.caller.ended is not None)
        while not done() and self.now_ms < most_ms:
            now_ns = CONNECTED_NS + self.now_ms * 1_000_000
            audible = any(start <= self.now_ms < end for start, end in self._agent)
            payload = SPEECH if audible else SILENT
            stamp = self._sequence * 960
            self.caller.heard(ReceivedPacket(now_ns, self._sequence, stamp, payload))
            self._sequence += 1
            self.sent.append(self.caller.frame(now_ns))
            self.now_ms += 20
        return self


def test_a_reply_is_heard_at_the_personas_delay() -> None:
    """The record says when the words left the socket: agent's end plus reply_delay_ms."""
    line = Line(wait(), say("Hi"), hang_up(), agent=[(500, 2000)]).run()
    (turn,) = line.caller.caller_turns()
    assert turn.start_ms == pytest.approx(2900, abs=TOLERANCE_MS)
    assert turn.end_ms - turn.start_ms == pytest.approx(1950)
    assert (turn.kind, turn.step, turn.text, turn.cut) == ("turn", 1, "Hi", False)


def test_the_record_agrees_with_the_packets_that_were_sent() -> None:
    """The turn starts at the clip's audible edge, counted from the frame of its first packet."""
    line = Line(wait(), say("Hi"), hang_up(), agent=[(500, 2000)]).run()
    frames = [at for at, sending in enumerate(line.sent) if sending.clip_hash is not None]
    (turn,) = line.caller.caller_turns()
    assert turn.start_ms == frames[0] * 20 + 40
    assert turn.end_ms == frames[0] * 20 + 1990
    assert frames == list(range(frames[0], frames[0] + 100))


def test_something_is_sent_in_every_frame() -> None:
    """A caller that says nothing sends its background."""
    line = Line(wait(), say("Hi"), hang_up(), agent=[(500, 2000)]).run()
    assert all(sending.payload for sending in line.sent)
    assert line.sent[0].clip_hash is None


def test_a_turn_that_was_cut_ends_with_its_last_packet() -> None:
    """The agent talks over the caller, which stops."""
    line = Line(say("A story"), hang_up(), agent=[(1200, 4000)]).run(most_ms=3500)
    (turn,) = line.caller.caller_turns()
    assert turn.cut
    assert turn.end_ms == pytest.approx(2200, abs=TOLERANCE_MS)
    last = max(at for at, sending in enumerate(line.sent) if sending.clip_hash is not None)
    assert turn.end_ms == (last + 1) * 20


def test_words_cut_early_are_said_again_and_recorded_twice() -> None:
    """Both stretches of speech are part of the record."""
    who = persona(yield_after_ms=300)
    line = Line(say("A story"), hang_up(), who=who, agent=[(1200, 3000)]).run()
    first, second = line.caller.caller_turns()
    assert (first.cut, second.cut) == (True, False)
    assert second.start_ms == pytest.approx(3900, abs=TOLERANCE_MS)
    assert [note.what for note in line.caller.notes()] == ["yielded to the agent; to be said again"]
    assert len(line.caller.decisions()) == 1


def test_an_interruption_is_recorded_as_one() -> None:
    """Kind, and that the agent was speaking."""
    line = Line(say("Seven", 800), hang_up(), agent=[(1000, 2500)]).run()
    (turn,) = line.caller.caller_turns()
    assert (turn.kind, turn.agent_was_speaking) == ("interrupt", True)
    assert turn.start_ms == pytest.approx(1800, abs=TOLERANCE_MS)


def test_an_unfinished_turn_is_recorded_as_far_as_it_is_out() -> None:
    """The agent left in the middle of the caller's words."""
    line = Line(say("A story"), hang_up()).run(most_ms=1900)
    line.caller.agent_left("gone")
    (turn,) = line.caller.caller_turns()
    assert turn.cut
    assert turn.end_ms == 1900
    ended = line.caller.ended
    assert ended is not None
    assert (ended.ended_reason, ended.detail) == ("agent_hung_up_early", "gone")


def test_a_call_stopped_from_outside_keeps_the_words_that_were_out() -> None:
    """The record can be asked for at any time."""
    line = Line(say("A story"), hang_up()).run(most_ms=1900)
    (turn,) = line.caller.caller_turns()
    assert (turn.cut, turn.end_ms) == (True, 1900)


def test_nothing_audible_sent_is_nothing_said() -> None:
    """A call that ended before the clip's first audible sound has no turn."""
    line = Line(say("A story"), hang_up()).run(most_ms=880)
    assert line.sent[-1].clip_hash is not None
    assert line.caller.caller_turns() == []


def test_the_agent_leaving_twice_is_leaving_once() -> None:
    """The first time stands."""
    line = Line(wait(), hang_up())
    line.caller.agent_left("one")
    line.caller.agent_left("two")
    assert line.caller.ended is not None
    assert line.caller.ended.detail == "one"


def test_what_the_agent_says_of_itself_is_matched() -> None:
    """Only its own words: not what it heard."""
    line = Line(wait("seven"), hang_up(), agent=[(500, 2000)]).run(most_ms=1000)
    line.caller.reported(Reported(at_ms=900.0, kind="heard", text="seven"))
    line.caller.reported(Reported(at_ms=950.0, kind="said", text="At eight."))
    line.run()
    (check,) = line.caller.script_checks()
    assert check.outcome == "fail"


def test_hearing_the_agent_is_told_apart_from_receiving_packets() -> None:
    """Silent packets are not speech."""
    line = Line(wait(), hang_up(), agent=[(1000, 2000)])
    line.run(most_ms=900)
    assert not line.caller.has_heard_agent
    line.run(most_ms=1500)
    assert line.caller.has_heard_agent


def test_a_stall_takes_its_length_out_of_the_words() -> None:
    """Frames that were never sent are lost, and the record still says when the words ended."""
    line = Line(say("A story"), hang_up()).run(most_ms=1500)
    line.now_ms += 300
    line.sent.append(line.caller.frame(CONNECTED_NS + line.now_ms * 1_000_000, skipped=15))
    line.now_ms += 20
    line.run()
    (turn,) = line.caller.caller_turns()
    first = next(at for at, sending in enumerate(line.sent) if sending.clip_hash is not None)
    assert (turn.start_ms, turn.end_ms) == (first * 20 + 40, first * 20 + 1990)
    assert not turn.cut


def test_a_missing_clip_is_noticed_before_the_call() -> None:
    """Not in the middle of it."""
    script = compile_script(scenario(say("Hi"), hang_up()), CALM, 7)
    with pytest.raises(KeyError):
        Caller(script, {}, CALM, Limits())
