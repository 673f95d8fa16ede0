"""What a persona does to sound: level, noise, limits. Owns the arithmetic; knows no codec."""

from __future__ import annotations

import numpy as np

from worker.media.loudness import Pcm, active_rms

PEAK = 10 ** (-1 / 20)
"""No sample leaves beyond -1 dBFS."""
KNEE = 10 ** (-4 / 20)
"""Up to -4 dBFS a sample stays as it is."""


def levelled(pcm: Pcm, rate_hz: int, level_dbfs: float) -> Pcm:
    """The sound with its audible parts at this RMS; silence stays silence."""
    rms = active_rms(pcm, rate_hz)
    if rms <= 0.0:
        return pcm
    return (pcm * (10 ** (level_dbfs / 20) / rms)).astype(np.float32)


def limited(pcm: Pcm) -> Pcm:
    """The sound bent softly over -4 dBFS so that it never passes -1 dBFS."""
    over = np.abs(pcm) - KNEE
    if not (over > 0).any():
        return pcm
    bent = KNEE + (PEAK - KNEE) * np.tanh(np.maximum(over, 0.0) / (PEAK - KNEE))
    return np.where(over > 0, np.copysign(bent, pcm), pcm).astype(np.float32)


def at_snr(noise: Pcm, speech_dbfs: float, snr_db: float) -> Pcm:
    """A noise of RMS 1.0 brought `snr_db` under speech of `speech_dbfs`."""
    return (noise * 10 ** ((speech_dbfs - snr_db) / 20)).astype(np.float32)


def with_noise(pcm: Pcm, noise: Pcm, offset: int) -> Pcm:
    """The sound over a noise loop that begins at `offset` samples into it."""
    places = (np.arange(len(pcm)) + offset) % len(noise)
    return (pcm + noise[places]).astype(np.float32)
