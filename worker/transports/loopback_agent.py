"""A scripted agent for the loopback transport: when it greets, replies, yields, leaves or fails.

Owns an agent's behaviour as plain numbers; hears by packet levels alone and speaks given packets,
so it needs no codec, no network and no clock but the loop's, which may be virtual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from shared.call import EndedReason, Step
from shared.result import Reported

FRAME_S: Final = 0.02
_FRAME_SAMPLES: Final = 960
SILENCE: Final = b"\xf8\xff\xfe"
"""20 ms of silence: mono, fullband CELT, code 0 (RFC 6716, section 3.1)."""


class Utterance(msgspec.Struct, frozen=True):
    """Something the agent says: 20 ms Opus packets, and the words it reports of them, if any."""

    packets: list[bytes]
    text: str | None = None


class Left(msgspec.Struct, frozen=True):
    """The agent has ended the call."""

    detail: str = "the agent hung up"


class Refusal(msgspec.Struct, frozen=True):
    """A connection that fails at `step`, once the time of that step has passed."""

    step: Step
    ended_reason: EndedReason
    detail: str = "as scripted"


class LoopbackAgent(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent behaves. All `_ms` count from connected media unless a field says otherwise.

    The defaults are a well-behaved agent that has nothing to say.
    """

    greeting: Utterance | None = None
    """None: it waits for the caller to speak first."""
    greets_after_ms: float = 500.0
    replies: tuple[Utterance, ...] = ()
    """Said in turn after each turn of the caller; the last one again and again."""
    reply_after_ms: float | tuple[float, ...] = 800.0
    """From the caller's last audible packet, as the agent receives it; a tuple: one value a reply,
    the last one again and again."""
    max_replies: int | None = None
    """After so many replies it stays silent."""
    stops_after_ms: float | None = 300.0
    """Cuts its utterance when spoken over for so long; None ignores the caller. What it cut it does
    not resume; the interruption is a turn of the caller that it replies to."""
    hears_after_ms: float = 60.0
    """Audible sound shorter than this is no turn."""
    audible_dbov: int = 60
    """RFC 6464 levels up to this value (0 is loudest) are sound."""
    speaks_at_ms: tuple[tuple[float, int], ...] = ()
    """(time, index into `replies`): said then, whatever the caller does; for agents that interrupt
    or talk to themselves."""
    leaves_at_ms: float | None = None
    leaves_after_replies: int | None = None
    """Hangs up when so many replies were said to their end."""
    freezes_at_ms: float | None = None
    """Stays connected and sends no more packets."""
    sends_silence: bool = True
    """False: no packets between utterances, while RTP time stands still (Pipecat bots with
    `audio_out_auto_silence=False`)."""
    silence: bytes = SILENCE
    first_sequence: int = 65_500
    first_timestamp: int = 4_294_900_000
    """RTP starts; the defaults wrap within the first seconds, as any start may."""
    reports: bool = False
    """Reports `said` with the text when an utterance was played to its end, and the events
    `bot-started-speaking` and `bot-stopped-speaking`."""
    signalling_ms: float = 5.0
    ice_ms: float = 20.0
    """Time that each step of connecting takes."""
    refusal: Refusal | None = None


class LoopbackConversation:
    """One agent of a script, talking. Its owner calls `start`, `hear` and `stop`.

    `heard` are the payloads that reached it, in order; for tests.
    """

    def __init__(
        self,
        agent: LoopbackAgent,
        *,
        send: Callable[[int, int, bytes], None],
        tell: Callable[[Reported | Left], None],
    ) -> None:
        self.agent = agent
        self.heard: list[bytes] = []
        self._send, self._tell = send, tell
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._start_s = 0.0
        self._tick = 0
        self._sequence = agent.first_sequence
        self._timestamp = agent.first_timestamp
        self._speech: Utterance | None = None
        self._position = 0
        self._is_reply = False
        self._replies_begun = 0
        self._replies_done = 0
        self._greeted = agent.greeting is None
        self._spoken_at = sorted(agent.speaks_at_ms)
        self._sound_ms = 0.0
        self._over_ms = 0.0
        self._last_sound_ms: float | None = None
        self._owes_reply = False
        self._is_stopped = False

    def start(self) -> None:
        """Media is connected: this is 0 ms."""
        self._start_s = self._loop.time()
        self._timer = self._loop.call_at(self._start_s, self._frame)

    def hang_up(self) -> None:
        """Leave the call now."""
        self.stop()
        self._tell(Left())

    def stop(self) -> None:
        """No more packets, reports or leaving; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._speech = None
        self._is_stopped = True

    def hear(self, payload: bytes, level_dbov: int) -> None:
        """A packet of the caller has arrived."""
        self.heard.append(payload)
        if self._is_stopped:
            return
        frame_ms = FRAME_S * 1000
        if level_dbov > self.agent.audible_dbov:
            self._sound_ms = self._over_ms = 0.0
            return
        self._sound_ms += frame_ms
        if self._sound_ms >= self.agent.hears_after_ms:
            self._owes_reply = True
            self._last_sound_ms = self._now_ms()
        stops_after_ms = self.agent.stops_after_ms
        if self._speech is None or stops_after_ms is None:
            return
        self._over_ms += frame_ms
        if self._over_ms >= stops_after_ms:
            self._end_speech(cut=True)

    def _now_ms(self) -> float:
        # Whole microseconds: a delay of 400 ms is over after twenty frames, not after 399.999...
        return round((self._loop.time() - self._start_s) * 1000, 3)

    def _frame(self) -> None:
        """Every 20 ms on an absolute schedule: decide, then send one packet or none."""
        now_ms = round(self._tick * FRAME_S * 1000, 3)
        agent = self.agent
        if agent.leaves_at_ms is not None and now_ms >= agent.leaves_at_ms:
            self.hang_up()
            return
        if agent.freezes_at_ms is not None and now_ms >= agent.freezes_at_ms:
            self.stop()
            if agent.leaves_at_ms is not None:
                at_s = self._start_s + agent.leaves_at_ms / 1000
                self._timer = self._loop.call_at(at_s, self.hang_up)
            return
        self._begin_speech(now_ms)
        self._send_frame()
        done = agent.leaves_after_replies
        if done is not None and self._replies_done >= done and self._speech is None:
            self.hang_up()
            return
        self._tick += 1
        self._timer = self._loop.call_at(self._start_s + self._tick * FRAME_S, self._frame)

    def _begin_speech(self, now_ms: float) -> None:
        agent = self.agent
        if self._spoken_at and now_ms >= self._spoken_at[0][0]:
            self._speak(agent.replies[self._spoken_at.pop(0)[1]])
        elif self._speech is not None:
            return
        elif not self._greeted and now_ms >= agent.greets_after_ms:
            self._greeted = True
            if agent.greeting is not None:
                self._speak(agent.greeting)
        elif self._reply_is_due(now_ms):
            self._owes_reply = False
            self._is_reply = True
            self._speak(agent.replies[min(self._replies_begun, len(agent.replies) - 1)])
            self._replies_begun += 1

    def _reply_is_due(self, now_ms: float) -> bool:
        agent = self.agent
        used_up = agent.max_replies is not None and self._replies_begun >= agent.max_replies
        if not self._owes_reply or not agent.replies or used_up or self._last_sound_ms is None:
            return False
        delays = agent.reply_after_ms
        if isinstance(delays, tuple):
            delay_ms = delays[min(self._replies_begun, len(delays) - 1)]
        else:
            delay_ms = delays
        return round(now_ms - self._last_sound_ms, 3) >= delay_ms

    def _speak(self, utterance: Utterance) -> None:
        self._speech, self._position, self._over_ms = utterance, 0, 0.0
        if self.agent.reports:
            self._report("event", "bot-started-speaking")

    def _end_speech(self, *, cut: bool) -> None:
        speech, self._speech = self._speech, None
        if self.agent.reports:
            if speech is not None and speech.text and not cut:
                self._report("said", speech.text)
            self._report("event", "bot-stopped-speaking")
        if self._is_reply and not cut:
            self._replies_done += 1
        self._is_reply = False

    def _send_frame(self) -> None:
        payload = self.agent.silence if self.agent.sends_silence else None
        if self._speech is not None:
            payload = self._speech.packets[self._position]
            self._position += 1
        if payload is None:
            return
        self._send(self._sequence, self._timestamp, payload)
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + _FRAME_SAMPLES) & 0xFFFFFFFF
        if self._speech is not None and self._position >= len(self._speech.packets):
            self._end_speech(cut=False)

    def _report(self, kind: str, text: str) -> None:
        self._tell(Reported(at_ms=0.0, kind=kind, text=text))
