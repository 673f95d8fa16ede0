"""The sound that both sides of a bench send. Owns its making, from a seed; needs no voice.

Phrases of voiced syllables and hisses with pauses between them, loud and dense as speech is, so
that a codec and a detector have about the work that speech gives them.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import soxr

from worker.media.clip import PACKET_MS, Clip
from worker.media.loudness import Pcm, active_rms, packet_levels
from worker.media.opus import RATE_HZ, encode_packets, to_samples

SEED = 20_261_121
LENGTH_S = 30
LEVEL_DBFS = -23.0
_MAKING_HZ = 24_000
_FLOOR_DBFS = -70.0
_HARMONICS = np.arange(1, 30)[:, None]


class Speech(msgspec.Struct, frozen=True):
    """A loop of 48 kHz mono sound, raw and encoded."""

    pcm: bytes
    """16-bit samples of this machine's byte order."""
    packets: list[bytes]
    """20 ms Opus packets of the same sound."""
    levels: bytes
    """RFC 6464 level of each packet."""

    def clip(self, name: str, begin: int, packets: int) -> Clip:
        """A stretch of the loop as a clip of that hash, all of it taken for audible."""
        at = [(begin + step) % len(self.packets) for step in range(packets)]
        return Clip(
            hash=name,
            packets=[self.packets[index] for index in at],
            levels=bytes(self.levels[index] for index in at),
            audible_end_ms=float(packets * PACKET_MS),
        )


def make_speech() -> Speech:
    """The same speech on every machine with the same libopus; takes about half a second."""
    pcm = soxr.resample(_phrases(np.random.default_rng(SEED)), _MAKING_HZ, RATE_HZ)
    pcm = pcm[: LENGTH_S * RATE_HZ].astype(np.float32)
    pcm *= 10 ** (LEVEL_DBFS / 20) / active_rms(pcm, RATE_HZ)
    return Speech(to_samples(pcm).tobytes(), encode_packets(pcm), packet_levels(pcm, RATE_HZ))


def write_speech(speech: Speech, path: Path) -> None:
    """Keep it for the processes of a bench."""
    path.write_bytes(msgspec.msgpack.encode(speech))


def read_speech(path: Path) -> Speech:
    """What `write_speech` kept."""
    return msgspec.msgpack.decode(path.read_bytes(), type=Speech)


def _phrases(chance: np.random.Generator) -> Pcm:
    """Phrases of 2 to 4.5 s with pauses of 0.8 to 2 s, a little longer than the loop."""
    parts: list[Pcm] = []
    total = 0
    while total < (LENGTH_S + 1) * _MAKING_HZ:
        phrase = [_syllable(chance) for _ in range(int(chance.integers(11, 24)))]
        pause = np.zeros(int(chance.uniform(0.8, 2.0) * _MAKING_HZ), np.float32)
        parts += [*phrase, pause]
        total += sum(map(len, phrase)) + len(pause)
    sound = np.concatenate(parts)
    floor = 10 ** (_FLOOR_DBFS / 20) * chance.standard_normal(len(sound))
    return (sound + floor).astype(np.float32)


def _syllable(chance: np.random.Generator) -> Pcm:
    """A hiss and then a vowel of three formants with a gliding pitch."""
    time_s = np.arange(int(chance.uniform(0.11, 0.22) * _MAKING_HZ)) / _MAKING_HZ
    pitch_hz = chance.uniform(100, 150) * (1 + chance.uniform(-0.6, 0.4) * time_s)
    hz = pitch_hz.mean() * _HARMONICS
    formants_hz = chance.uniform((300, 900, 2200), (800, 2000, 3200))
    gains = sum(1 / (1 + ((hz - formant) / 110) ** 2) for formant in formants_hz)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / _MAKING_HZ
    vowel = (gains * np.sin(_HARMONICS * phase)).sum(axis=0) * np.sin(np.pi * time_s / time_s[-1])
    hiss = 0.15 * chance.standard_normal(int(chance.uniform(0.02, 0.07) * _MAKING_HZ))
    return np.concatenate([hiss, vowel]).astype(np.float32)
