"""The offline voice."""

from __future__ import annotations

import numpy as np
import pytest

from worker.speech.espeak import Espeak
from worker.speech.voices import VoiceError


def test_words_become_sound() -> None:
    """A sentence of nine words takes two to four seconds and is not silent."""
    spoken = Espeak().speak("I would like a table for two this evening.", "en-us")
    assert 2.0 < len(spoken.pcm) / spoken.rate_hz < 4.0
    assert float(np.abs(spoken.pcm).max()) > 0.1
    assert spoken.pcm.dtype == np.float32


@pytest.mark.parametrize("voice", ["en-us+f3", "en-gb", "de+m3"])
def test_an_utterance_does_not_depend_on_what_was_said_before(voice: str) -> None:
    """The library's own state, echo and random numbers never carry over."""
    first = Espeak().speak("One two three", voice)
    espeak = Espeak()
    espeak.speak("Something quite different, and longer", "en-us+f5", 1.5, 1.7)
    assert np.array_equal(first.pcm, espeak.speak("One two three", voice).pcm)


@pytest.mark.parametrize(
    "voice", ["en-us", "EN-US", "en-gb", "en", "fr-fr", "en-us+m3", "en-gb+f3"]
)
def test_voices_are_found_by_file_and_by_language(voice: str) -> None:
    """With and without a variant."""
    assert len(Espeak().speak("Hello", voice).pcm) > 5000


@pytest.mark.parametrize(
    ("voice", "says"),
    [
        ("klingon", "no voice or language 'klingon'"),
        ("en-us+nobody", "no voice variant 'nobody'"),
        ("../../etc/passwd", "not the name"),
        ("en-us+../f3", "not the name"),
        ("en-us+..", "no voice variant"),
    ],
)
def test_an_unknown_voice_is_refused_by_name(voice: str, says: str) -> None:
    """The library would fall back on another voice in silence."""
    with pytest.raises(VoiceError, match=says):
        Espeak().speak("Hello", voice)


def test_speed_and_pitch_change_the_sound() -> None:
    """Twice the speed is about half the length; the pitch leaves the length nearly alone."""
    espeak = Espeak()
    text = "This is a sentence of some length."
    plain = espeak.speak(text, "en-us")
    assert len(espeak.speak(text, "en-us", 2.0).pcm) < 0.7 * len(plain.pcm)
    higher = espeak.speak(text, "en-us", 1.0, 1.6)
    assert abs(len(higher.pcm) / len(plain.pcm) - 1) < 0.1
    assert _pitch_hz(higher.pcm, higher.rate_hz) > 1.2 * _pitch_hz(plain.pcm, plain.rate_hz)


def _pitch_hz(pcm: np.typing.NDArray[np.float32], rate_hz: int) -> float:
    """The voice's fundamental: median over 40 ms of the shortest strong period, 60 to 400 Hz."""
    size = rate_hz // 25
    frames = pcm[: len(pcm) // size * size].reshape(-1, size)
    found = []
    for frame in frames[np.abs(frames).max(axis=1) > 0.1]:
        likeness = np.fft.irfft(np.square(np.abs(np.fft.rfft(frame, 2 * size))))
        candidates = likeness[rate_hz // 400 : rate_hz // 60]
        found.append(rate_hz // 400 + int(np.argmax(candidates > 0.9 * candidates.max())))
    return rate_hz / float(np.median(found))


def test_markup_and_zero_bytes_are_words_like_any_other() -> None:
    """A text is never read as anything but text."""
    assert len(Espeak().speak('<audio src="/etc/passwd"/> one\0two', "en-us").pcm) > 5000
