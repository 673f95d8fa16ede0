"""Background noise as endless loops. Owns the kinds and their spectra; knows no level and no call.

Every loop is periodic (built in the frequency domain, or wrapped around), so that it can be
repeated without a seam, and comes from a fixed seed: the same kind is the same samples on every
machine.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import soxr

from worker.media.loudness import Pcm
from worker.media.opus import RATE_HZ
from worker.speech.voices import Voices

Wide = npt.NDArray[np.floating]

LOOP_S = 5
LOOP_SAMPLES = LOOP_S * RATE_HZ
_SEED = 20_261_120
_LOWEST_HZ = 120.0
_HIGHEST_HZ = 11_000.0
"""Opus' speech mode filters out what lies lower or higher, and some of the level with it."""
_HUM_HZ = 100
_CROWD = (
    ("en-us", 1.0, "I told her we would be there around eight, but you know how the traffic is."),
    ("en-us+f3", 1.15, "Did you see what they wrote about it? I could not believe my own eyes."),
    ("en-gb+m3", 0.9, "Two coffees and the apple cake, please, and could we sit by the window."),
    ("en-gb+f2", 1.05, "She has been working there since March and she likes it quite a lot."),
    ("en-us+m7", 1.2, "No, no, the other one, the one with the big green door down the road."),
    ("en-us+f4", 0.95, "We should really go back in summer, when the weather is a bit better."),
    ("en-gb+m1", 1.1, "He said it would be finished by Friday, and that was three weeks ago."),
)


def noise_loop(kind: str, voices: Voices) -> Pcm:
    """5 s of `kind` (`shared.persona.NOISE_KINDS`) at 48 kHz, RMS 1.0; raises VoiceError."""
    if kind == "crowd":
        return _unit(_crowd(voices))
    return _unit(_MAKERS[kind]())


def _unit(sound: Wide) -> Pcm:
    rms = float(np.sqrt(np.square(sound, dtype=np.float64).mean()))
    return (sound / rms).astype(np.float32)


def _shaped(seed: int, gain_of_hz: Callable[[Wide], Wide]) -> Wide:
    """Periodic Gaussian noise whose amplitude spectrum is `gain_of_hz`, 120 Hz to 11 kHz."""
    generator = np.random.Generator(np.random.PCG64(_SEED + seed))
    spectrum = np.fft.rfft(generator.standard_normal(LOOP_SAMPLES))
    hz = np.fft.rfftfreq(LOOP_SAMPLES, 1 / RATE_HZ)
    inside = (hz >= _LOWEST_HZ) & (hz <= _HIGHEST_HZ)
    gain = np.zeros_like(hz)
    gain[inside] = gain_of_hz(hz[inside])
    shaped: Wide = np.fft.irfft(spectrum * gain, LOOP_SAMPLES)
    return shaped


def _white() -> Wide:
    return _shaped(1, np.ones_like)


def _pink() -> Wide:
    return _shaped(2, lambda hz: hz**-0.5)


def _brown() -> Wide:
    return _shaped(3, lambda hz: 1.0 / hz)


def _hum() -> Wide:
    """Hum of a transformer on 50 Hz mains, over a little hiss."""
    seconds = np.arange(LOOP_SAMPLES) / RATE_HZ
    tones = sum(np.sin(2 * np.pi * _HUM_HZ * order * seconds) / order for order in range(1, 7))
    return _unit(np.asarray(tones)) + 0.02 * _unit(_pink())


def _street() -> Wide:
    """A low rumble that swells slowly, with two cars that pass."""
    phase = 2 * np.pi * np.arange(LOOP_SAMPLES) / LOOP_SAMPLES
    rumble = _unit(_shaped(4, lambda hz: hz**-0.9)) * (1.0 + 0.3 * np.sin(phase))
    tyres = _unit(_shaped(5, lambda hz: np.exp(-np.square(np.log2(hz / 900.0)))))
    passing = sum(
        strength * np.exp(-np.square(_wrapped(phase - at) / width))
        for at, width, strength in ((1.6, 0.45, 2.4), (4.4, 0.7, 1.4))
    )
    street: Wide = rumble + tyres * passing
    return street


def _wrapped(angle: Wide) -> Wide:
    wrapped: Wide = (angle + np.pi) % (2 * np.pi) - np.pi
    return wrapped


def _crowd(voices: Voices) -> Wide:
    """Seven people who talk at once, none closer than the others, at an even level."""
    babble = np.zeros(LOOP_SAMPLES)
    for place, (voice, speed, text) in enumerate(_CROWD):
        spoken = voices.speak(text, voice, speed)
        pcm = soxr.resample(spoken.pcm, spoken.rate_hz, RATE_HZ)
        talking = np.resize(np.concatenate([pcm, np.zeros(RATE_HZ // 4)]), LOOP_SAMPLES)
        babble += np.roll(_unit(talking), place * LOOP_SAMPLES // len(_CROWD))
    return _unit(babble / _slow_envelope(babble))


def _slow_envelope(sound: Wide) -> Wide:
    """RMS over about a second around each sample, periodic."""
    window = RATE_HZ
    power = np.square(sound)
    wrapped = np.concatenate([power[-window // 2 :], power, power[: window // 2]])
    sums = np.cumsum(np.concatenate([[0.0], wrapped]))
    envelope: Wide = np.sqrt((sums[window:] - sums[:-window])[:LOOP_SAMPLES] / window)
    return envelope


_MAKERS: dict[str, Callable[[], Wide]] = {
    "white": _white,
    "pink": _pink,
    "brown": _brown,
    "hum": _hum,
    "street": _street,
}
