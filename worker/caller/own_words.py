"""What the caller is saying and has said last. Owns its times; refuses to decide anything."""

from __future__ import annotations

from collections.abc import Mapping

from worker.caller.events import Play
from worker.caller.script import Speech
from worker.media.clip import Clip


class OwnWords:
    """The utterance being played, and when the one before ended; all in ms from connected."""

    def __init__(self, clips: Mapping[str, Clip]) -> None:
        self._clips = clips
        self.playing: Play | None = None
        self._lead_ms = 0.0
        self.began_ms = 0.0
        """Start of the utterance being played, else of the last one."""
        self.ended_ms: float | None = None
        """End of the last utterance; None until one has ended."""
        self.half_out = False
        """At least half of the last utterance's audible part was out when it ended."""

    def lead_ms(self, speech: Speech) -> float:
        """Silence at the head of the sound, to be taken off its start."""
        clip = self._clips.get(speech.sound.hash)
        return 0.0 if clip is None else clip.audible_start_ms

    @property
    def audible_from_ms(self) -> float:
        """First audible sound of the utterance being played, else of the last one."""
        return self.began_ms + self._lead_ms

    def start(self, play: Play, now_ms: float) -> None:
        """Its first packet goes out with the next frame."""
        self.playing = play
        self.began_ms = now_ms
        self._lead_ms = self.lead_ms(play.speech)

    def stop(self, now_ms: float) -> Play:
        """Played out or cut; returns what it was. Something must be playing."""
        play = self.playing
        assert play is not None
        self.playing = None
        self.ended_ms = now_ms
        clip = self._clips.get(play.speech.sound.hash)
        middle_ms = 0.0 if clip is None else (clip.audible_start_ms + clip.audible_end_ms) / 2
        self.half_out = now_ms - self.began_ms >= middle_ms
        return play
