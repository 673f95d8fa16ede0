"""From request to clip: every knob is heard in the packets, and the same request gives the same."""

from __future__ import annotations

import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from shared.persona import NOISE_KINDS, Noise
from tests.unit.media.conftest import silence, tone
from worker.media.clip import Clip
from worker.media.effects import PEAK, levelled, limited
from worker.media.loudness import Pcm, active_rms, dbfs, packet_levels
from worker.media.noises import LOOP_SAMPLES, noise_loop
from worker.media.opus import LOOKAHEAD_MS, RATE_HZ, MonoDecoder, is_single_20ms, to_samples
from worker.media.rendering import Renderer, RenderingError
from worker.media.sound import Bed, Sound, SoundRequest, Spoken
from worker.speech.espeak import Espeak

TEXT = "Hello, a table for two at seven, please."
ASSET = "sha256:aa"


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(Espeak())


def _heard(clip: Clip) -> Pcm:
    decoder = MonoDecoder()
    samples = np.concatenate([decoder.decode(packet) for packet in clip.packets])
    return samples.astype(np.float32) / 32768.0


def _level_dbfs(pcm: Pcm) -> float:
    return dbfs(active_rms(pcm, RATE_HZ))


def _wav(path: Path, pcm: Pcm, rate_hz: int = RATE_HZ) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(to_samples(pcm).tobytes())
    return path


@pytest.mark.parametrize(
    "request_",
    [
        Spoken(text=TEXT),
        Spoken(text=TEXT, voice="en-gb+f3", speed=1.2, pitch=1.3, noise=Noise(kind="street")),
        Bed(noise=Noise(kind="crowd")),
        Bed(),
    ],
)
def test_the_same_request_gives_the_same_bytes(renderer: Renderer, request_: SoundRequest) -> None:
    """Whatever was rendered before it, and in a renderer of its own."""
    first = renderer.render(request_, {})
    renderer.render(Spoken(text="Something else", voice="de+m3"), {})
    assert renderer.render(request_, {}) == first == Renderer(Espeak()).render(request_, {})


def test_packets_are_plain_20_ms_frames_with_a_level_each(renderer: Renderer) -> None:
    """As the recording needs them; about 32 kbit/s."""
    clip = renderer.render(Spoken(text=TEXT), {})
    assert all(is_single_20ms(packet) for packet in clip.packets)
    assert len(clip.levels) == len(clip.packets)
    assert clip.duration_ms == len(clip.packets) * 20
    assert min(clip.levels) < 30
    assert sum(map(len, clip.packets)) / len(clip.packets) < 120


def test_audible_edges_are_those_of_the_decoded_packets(renderer: Renderer, tmp_path: Path) -> None:
    """A tone from 300 to 800 ms leaves the socket 6.5 ms later."""
    file = _wav(tmp_path / "t", np.concatenate([silence(0.3), tone(0.5), silence(0.2)]))
    clip = renderer.render(Sound(asset=ASSET), {ASSET: file})
    assert clip.audible_start_ms == pytest.approx(300 + LOOKAHEAD_MS, abs=1)
    assert clip.audible_end_ms == pytest.approx(800 + LOOKAHEAD_MS, abs=1)
    loud = np.flatnonzero(np.abs(_heard(clip)) > 0.02)
    assert loud[0] / 48 == pytest.approx(clip.audible_start_ms, abs=2)
    assert loud[-1] / 48 == pytest.approx(clip.audible_end_ms, abs=4)


def test_edges_are_those_of_the_words_not_of_the_noise(renderer: Renderer) -> None:
    """Loud noise under an utterance leaves its edges alone."""
    clean = renderer.render(Spoken(text=TEXT), {})
    noisy = renderer.render(Spoken(text=TEXT, noise=Noise(kind="white", snr_db=5)), {})
    assert noisy.audible_start_ms == clean.audible_start_ms
    assert noisy.audible_end_ms == clean.audible_end_ms


@pytest.mark.parametrize("level_dbfs", [-35.0, -23.0, -16.0])
def test_speech_has_the_level_that_was_asked_for(renderer: Renderer, level_dbfs: float) -> None:
    """RMS of the spoken parts, after encoding, within 1 dB."""
    heard = _heard(renderer.render(Spoken(text=TEXT, level_dbfs=level_dbfs), {}))
    assert _level_dbfs(heard) == pytest.approx(level_dbfs, abs=1.0)


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_noise_lies_its_snr_under_the_speech(renderer: Renderer, kind: str) -> None:
    """In silence too: the bed's RMS is the speech's level less the SNR."""
    noise = Noise(kind=kind, snr_db=15.0)  # type: ignore[arg-type]
    bed = _heard(renderer.render(Bed(level_dbfs=-23.0, noise=noise), {}))
    assert dbfs(float(np.sqrt(np.square(bed).mean()))) == pytest.approx(-38.0, abs=1.5)


def test_kinds_of_noise_sound_different() -> None:
    """Each has a spectrum of its own."""
    loops = {kind: noise_loop(kind, Espeak()) for kind in NOISE_KINDS}
    spectra = {}
    for kind, loop in loops.items():
        assert len(loop) == LOOP_SAMPLES
        power = np.square(np.abs(np.fft.rfft(loop)))
        edges = np.geomspace(100, 16_000, 13) * LOOP_SAMPLES / RATE_HZ
        bands = [power[int(a) : int(b)].sum() for a, b in pairwise(edges)]
        spectra[kind] = 10 * np.log10(np.array(bands) / sum(bands) + 1e-9)
    for one in NOISE_KINDS:
        for other in NOISE_KINDS:
            if one != other:
                assert np.abs(spectra[one] - spectra[other]).max() > 4


def test_a_crowd_keeps_an_even_level() -> None:
    """No second of it stands out: within 3 dB of the whole."""
    crowd = noise_loop("crowd", Espeak())
    seconds = np.sqrt(np.square(crowd.reshape(-1, RATE_HZ)).mean(axis=1))
    assert np.abs(20 * np.log10(seconds)).max() < 3


def test_a_loop_has_no_seam() -> None:
    """Its end meets its beginning as any sample meets the next."""
    for kind in NOISE_KINDS:
        loop = noise_loop(kind, Espeak())
        steps = np.abs(np.diff(loop))
        assert abs(float(loop[0] - loop[-1])) <= float(steps.max())


def test_a_silent_bed_is_quiet_and_not_dead(renderer: Renderer) -> None:
    """A second at -80 dBFS."""
    clip = renderer.render(Bed(), {})
    assert len(clip.packets) == 50
    assert set(clip.levels) <= set(range(74, 87))
    assert (clip.audible_start_ms, clip.audible_end_ms) == (0.0, 0.0)


def test_voice_speed_and_pitch_are_heard(renderer: Renderer) -> None:
    """Faster is shorter, higher has more crossings of zero, another voice is another sound."""
    plain = renderer.render(Spoken(text=TEXT), {})
    faster = renderer.render(Spoken(text=TEXT, speed=1.5), {})
    higher = renderer.render(Spoken(text=TEXT, pitch=1.8), {})
    other = renderer.render(Spoken(text=TEXT, voice="en-us+f3"), {})
    assert faster.duration_ms < plain.duration_ms * 0.8
    assert higher.packets != plain.packets != other.packets
    assert abs(higher.duration_ms - plain.duration_ms) < 0.1 * plain.duration_ms


def test_a_users_file_is_resampled_and_levelled(renderer: Renderer, tmp_path: Path) -> None:
    """8 kHz becomes 48 kHz of the same length at the persona's level."""
    seconds = np.arange(8000) / 8000
    pcm = (0.5 * np.sin(2 * np.pi * 440 * seconds)).astype(np.float32)
    file = _wav(tmp_path / "t", pcm, 8000)
    clip = renderer.render(Sound(asset=ASSET, level_dbfs=-26.0), {ASSET: file})
    assert clip.duration_ms == pytest.approx(1000, abs=21)
    assert _level_dbfs(_heard(clip)) == pytest.approx(-26.0, abs=1.0)
    kept = renderer.render(Sound(asset=ASSET, as_recorded=True), {ASSET: file})
    assert _level_dbfs(_heard(kept)) == pytest.approx(-9.0, abs=1.0)


def test_a_users_noise_is_mixed_at_its_snr(renderer: Renderer, tmp_path: Path) -> None:
    """A file in place of a kind."""
    file = _wav(tmp_path / "n", tone(2.0, amplitude=0.01))
    bed = renderer.render(Bed(noise=Noise(clip=ASSET, snr_db=10.0)), {ASSET: file})
    assert len(bed.packets) == 100
    assert _level_dbfs(_heard(bed)) == pytest.approx(-33.0, abs=1.0)


@pytest.mark.parametrize(
    ("request_", "content", "says"),
    [
        (Spoken(text=TEXT, voice="tlh"), None, "no voice or language"),
        (Spoken(text=" "), None, "made no sound"),
        (Sound(asset=ASSET), None, "not at hand"),
        (Sound(asset=ASSET), b"this is no sound file", "cannot be read as sound"),
        (Bed(noise=Noise(clip="sha256:bad")), b"", "cannot be read as sound"),
    ],
)
def test_what_cannot_be_made_says_why(
    renderer: Renderer, tmp_path: Path, request_: SoundRequest, content: bytes | None, says: str
) -> None:
    """One error, for people."""
    assets = {}
    if content is not None:
        file = tmp_path / "asset"
        file.write_bytes(content)
        assets = {ASSET: file, "sha256:bad": file}
    with pytest.raises(RenderingError, match=says):
        renderer.render(request_, assets)


def test_what_cannot_be_made_names_no_file_of_ours(renderer: Renderer, tmp_path: Path) -> None:
    """Nobody wrote the cache's path into a plan."""
    file = tmp_path / "asset"
    file.write_bytes(b"this is no sound file")
    with pytest.raises(RenderingError) as caught:
        renderer.render(Sound(asset=ASSET), {ASSET: file})
    assert str(caught.value).endswith("as sound: Invalid data found when processing input")


def test_nothing_passes_minus_1_dbfs() -> None:
    """Loud sound is bent, not clipped; what is below the knee stays as it is."""
    loud = tone(0.1, amplitude=3.0)
    assert np.abs(limited(loud)).max() <= PEAK + 1e-6
    quiet = tone(0.1, amplitude=0.5)
    assert limited(quiet) is quiet


def test_levels_follow_rfc_6464() -> None:
    """dB under full scale as a positive number; 127 for digital silence."""
    line = np.concatenate([np.ones(960), np.full(960, 0.1), np.zeros(960)]).astype(np.float32)
    assert list(packet_levels(line, RATE_HZ)) == [0, 20, 127]


def test_silence_cannot_be_levelled() -> None:
    """It stays silence."""
    assert not levelled(silence(0.1), RATE_HZ, -20.0).any()
