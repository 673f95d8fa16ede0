"""The seam between words and sound. Owns the protocol, knows no engine."""

from __future__ import annotations

from typing import Protocol

import msgspec

from worker.media.loudness import Pcm


class VoiceError(Exception):
    """The words cannot be spoken: an unknown voice, or an engine that failed or is missing."""


class Utterance(msgspec.Struct, frozen=True):
    """Words as sound, before any effect."""

    pcm: Pcm
    """Mono, 1.0 = full scale."""
    rate_hz: int


class Voices(Protocol):
    """An engine that speaks; the same words in the same voice are the same samples, always."""

    def speak(self, text: str, voice: str, speed: float = 1.0, pitch: float = 1.0) -> Utterance:
        """`speed` 1.0 is 160 words a minute, `pitch` 1.0 the voice's own; raises `VoiceError`."""
