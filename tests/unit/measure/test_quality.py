"""How the agent's speech sounds, after real Opus."""

from __future__ import annotations

import av
import numpy as np
import pytest
import soxr
from av.audio.codeccontext import AudioCodecContext

from tests.unit.measure.dialogue import agent_channel, decoded, voice
from worker.measure.quality import Quality, quality_of
from worker.measure.segments import Pcm, speech_segments
from worker.media.opus import MonoDecoder, to_samples
from worker.speech.espeak import Espeak


@pytest.fixture(scope="module")
def spoken() -> Pcm:
    """A sentence of the offline voice, 48 kHz, its peak at full scale."""
    utterance = Espeak().speak("Good evening. A table for two, and at what time?", "en-us")
    pcm = np.asarray(soxr.resample(utterance.pcm, utterance.rate_hz, 48_000), dtype=np.float32)
    return np.asarray(pcm / np.max(np.abs(pcm)), dtype=np.float32)


def through_opus(pcm_48k: Pcm, kbps: int) -> Pcm:
    """As an agent with another encoder would send it: general audio at its own bit rate."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.bit_rate = kbps * 1000
    encoder.options = {"application": "audio", "frame_duration": "20"}
    whole = to_samples(pcm_48k)[: len(pcm_48k) // 960 * 960].reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
    frame.sample_rate = 48_000
    decoder = MonoDecoder()
    packets = [bytes(packet) for packet in encoder.encode(frame)]
    samples = np.concatenate([decoder.decode(packet) for packet in packets])
    floats = samples.astype(np.float32) / 32768
    return np.asarray(soxr.resample(floats, 48_000, 16_000), dtype=np.float32)


def judged(pcm: Pcm) -> Quality:
    return quality_of(pcm, speech_segments(pcm))


def test_level_and_peak_are_those_of_speech_alone() -> None:
    """Silence around it changes neither."""
    pcm = agent_channel((1000, 3000), duration_ms=10_000)
    found = judged(pcm)
    assert found.level_dbfs == pytest.approx(-20, abs=0.3)
    assert found.peak_dbfs == pytest.approx(20 * np.log10(np.max(np.abs(pcm))), abs=0.1)


def test_a_voice_at_full_scale_is_not_clipped(spoken: Pcm) -> None:
    """Its highest peaks touch full scale and are round."""
    clipped_percent = judged(decoded(spoken * 0.99)).clipped_percent
    assert clipped_percent is not None
    assert clipped_percent < 0.1


@pytest.mark.parametrize("gain_db", [6, 12, 20])
def test_clipping_is_found_through_opus(spoken: Pcm, gain_db: float) -> None:
    """Within a factor of about two of what the source has, though Opus rounds its flat tops."""
    driven = np.clip(spoken * 10 ** (gain_db / 20), -1, 1).astype(np.float32)
    source_percent = 100 * np.mean(np.abs(driven) >= 0.999)
    clipped_percent = judged(decoded(driven)).clipped_percent
    assert clipped_percent is not None
    assert 0.4 * source_percent < clipped_percent < 2 * source_percent


def test_more_clipping_is_a_larger_number(spoken: Pcm) -> None:
    """The measure orders faults by their size."""
    shares = [
        judged(decoded(np.clip(spoken * gain, -1, 1).astype(np.float32))).clipped_percent
        for gain in (1.0, 2.0, 4.0, 10.0)
    ]
    assert shares == sorted(shares, key=lambda share: share or 0)


@pytest.mark.parametrize("kbps", [24, 32, 64, 96])
def test_a_clean_voice_has_no_dropouts(spoken: Pcm, kbps: int) -> None:
    """Closures of consonants and pauses between words are part of speech, however finely coded."""
    assert judged(through_opus(spoken * 0.5, kbps)).dropouts_per_min == 0


def test_lost_packets_are_dropouts() -> None:
    """Five of them in five seconds of speech are 60 a minute."""
    pcm = np.asarray(soxr.resample(voice(5000), 16_000, 48_000), dtype=np.float32)
    heard = decoded(pcm, lost=frozenset({30, 71, 112, 160, 201}))
    assert judged(heard).dropouts_per_min == pytest.approx(60, rel=0.05)


def test_an_agent_that_never_spoke_has_no_quality() -> None:
    """Absent, never zero."""
    assert judged(agent_channel(duration_ms=2000)) == Quality()
