"""Recordings: what a decoder hears in them, on both sides, in every format."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from tests.unit.media.conftest import FRAME_NS, sent_by, silence, tone
from worker.media.loudness import Pcm
from worker.media.ogg import crc, self_delimited
from worker.media.opus import (
    LOOKAHEAD_SAMPLES,
    RATE_HZ,
    encode_packets,
    is_single_20ms,
)
from worker.media.recording import write_recording
from worker.media.spool import SentPacket, Spool
from worker.media.timeline import Timeline
from worker.transports.transport import ReceivedPacket

START_NS = 1_000_000_000
ON_BEAT_NS = START_NS + 6_500_000
"""An agent whose packets come so late lies exactly in the slots of a caller that began at once."""


def _caller_sound() -> Pcm:
    return np.concatenate([silence(0.5), tone(0.6, 300.0), silence(1.9)])


def _agent_sound() -> Pcm:
    return np.concatenate([silence(1.5), tone(0.8, 700.0), silence(0.7)])


def _sent(pcm: Pcm) -> list[SentPacket]:
    return [
        SentPacket(k, START_NS + k * FRAME_NS, START_NS + k * FRAME_NS, payload, 0)
        for k, payload in enumerate(encode_packets(pcm))
    ]


def _timeline(
    received: list[ReceivedPacket], duration_ms: int = 3000, beat_ms: int = 0
) -> Timeline:
    """`beat_ms`: how long after the call's beginning the caller's first frame was due."""
    sent = [
        msgspec.structs.replace(packet, due_ns=packet.due_ns + beat_ms * 1_000_000)
        for packet in _sent(_caller_sound())
    ]
    spool = Spool(sent, received, torn=False)
    return Timeline.of(spool, START_NS, START_NS + duration_ms * 1_000_000)


def _heard(path: Path) -> npt.NDArray[np.float32]:
    """Both channels as FFmpeg decodes them, 1.0 = full scale."""
    parts = []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE_HZ)
        for frame in container.decode(audio=0):
            parts += [part.to_ndarray() for part in resampler.resample(frame)]
        parts += [part.to_ndarray() for part in resampler.resample(None)]
    return np.concatenate(parts, axis=1)


def _likeness(one: Pcm, other: Pcm) -> float:
    length = min(len(one), len(other))
    return float(np.corrcoef(one[:length], other[:length])[0, 1])


def _loud_from(channel: Pcm) -> float:
    """Time of the first sound in ms."""
    return float(np.flatnonzero(np.abs(channel) > 0.02)[0] / 48)


@pytest.mark.parametrize("kind", ["opus", "wav", "flac"])
def test_the_caller_is_left_and_the_agent_right(tmp_path: Path, kind: str) -> None:
    """Each channel is like its own source and unlike the other, and as long as the call.

    A tone that went through SILK comes out with its phase turned a little, so likeness is not 1.
    """
    timeline = _timeline(sent_by(encode_packets(_agent_sound()), first_ns=ON_BEAT_NS))
    transcoded = write_recording(timeline, tmp_path / "r", kind)
    left, right = _heard(tmp_path / "r")
    assert len(left) == 3 * RATE_HZ
    assert _likeness(left[LOOKAHEAD_SAMPLES:], _caller_sound()) > 0.9
    assert _likeness(right[LOOKAHEAD_SAMPLES:], _agent_sound()) > 0.9
    assert abs(_likeness(left, right)) < 0.05
    assert transcoded is (kind != "opus")


@pytest.mark.parametrize("late_ms", [0, 4, 9, 11, 17])
def test_the_channels_are_aligned_to_half_a_slot(tmp_path: Path, late_ms: int) -> None:
    """A sound in a recording without transcoding lies within 10 ms of its place on the clock."""
    first_ns = START_NS + late_ms * 1_000_000
    timeline = _timeline(sent_by(encode_packets(_agent_sound()), first_ns=first_ns))
    write_recording(timeline, tmp_path / "r", "opus")
    left, right = _heard(tmp_path / "r")
    assert abs(_loud_from(left) - 500 - 6.5) < 2
    assert abs(_loud_from(right) - 1500 - late_ms) <= 10 + 2


@pytest.mark.parametrize("kind", ["opus", "wav", "flac"])
@pytest.mark.parametrize("beat_ms", [1, 9, 11, 19])
def test_the_slots_keep_the_callers_beat(tmp_path: Path, beat_ms: int, kind: str) -> None:
    """Wherever in 20 ms the ticker had its place for the call, the caller's side is exact."""
    agent = sent_by(encode_packets(_agent_sound()), first_ns=START_NS)
    write_recording(_timeline(agent, beat_ms=beat_ms), tmp_path / "r", kind)
    left, right = _heard(tmp_path / "r")
    assert len(left) == 3 * RATE_HZ
    assert abs(_loud_from(left) - 500 - 6.5 - beat_ms) < 2
    assert abs(_loud_from(right) - 1500) <= (10 if kind == "opus" else 0) + 2


def test_equal_calls_make_equal_files(tmp_path: Path) -> None:
    """Nothing random and no time of day is in a file."""
    timeline = _timeline(sent_by(encode_packets(_agent_sound()), first_ns=START_NS))
    for kind in ("opus", "wav", "flac"):
        write_recording(timeline, tmp_path / "a", kind)
        write_recording(timeline, tmp_path / "b", kind)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def _stereo_packets(pcm: Pcm, frame_ms: int = 20) -> list[bytes]:
    """As aiortc agents send: both channels the same; any frame size."""
    context = av.CodecContext.create("libopus", "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate = RATE_HZ
    context.layout = "stereo"
    context.format = "s16"
    context.bit_rate = 96_000
    context.options = {"application": "voip", "frame_duration": str(frame_ms)}
    samples = frame_ms * 48
    line = np.rint(pcm * 32767).astype(np.int16)
    line = np.resize(line, len(line) // samples * samples)
    packets = []
    for block in line.reshape(-1, samples):
        frame = av.AudioFrame(format="s16", layout="stereo", samples=samples)
        frame.sample_rate = RATE_HZ
        frame.planes[0].update(np.repeat(block, 2).tobytes())
        packets += [bytes(packet) for packet in context.encode(frame)]
    return packets


def test_an_agent_that_sends_stereo_is_recorded_as_it_came(tmp_path: Path) -> None:
    """Stereo-coded packets lie in the mono stream and decode as their mix."""
    timeline = _timeline(sent_by(_stereo_packets(_agent_sound()), first_ns=ON_BEAT_NS))
    assert write_recording(timeline, tmp_path / "r", "opus") is False
    _, right = _heard(tmp_path / "r")
    assert _likeness(right[LOOKAHEAD_SAMPLES:], _agent_sound()) > 0.9


@pytest.mark.parametrize("frame_ms", [10, 40, 60])
def test_other_frame_sizes_are_transcoded_and_stay_in_place(tmp_path: Path, frame_ms: int) -> None:
    """An agent's 10, 40 or 60 ms packets cannot lie in 20 ms slots."""
    packets = _stereo_packets(_agent_sound(), frame_ms)
    assert not any(is_single_20ms(packet) for packet in packets)
    step_ns = frame_ms * 1_000_000
    stream = sent_by(packets, first_ns=START_NS, step_ns=step_ns, samples=frame_ms * 48)
    timeline = _timeline(stream)
    assert write_recording(timeline, tmp_path / "r", "opus") is True
    left, right = _heard(tmp_path / "r")
    assert _likeness(right, _agent_sound()) > 0.9
    assert abs(_loud_from(left) - 500 - 6.5) < 2
    assert abs(_loud_from(right) - 1500) < 3


@pytest.mark.parametrize("kind", ["opus", "wav", "flac"])
def test_a_call_without_a_single_packet_is_silence_of_its_length(tmp_path: Path, kind: str) -> None:
    """An agent that never sent, and a caller that never did, still give a whole file."""
    timeline = Timeline.of(Spool([], [], torn=False), START_NS, START_NS + 1_234_000_000)
    write_recording(timeline, tmp_path / "r", kind)
    left, right = _heard(tmp_path / "r")
    assert len(left) == round(1.234 * RATE_HZ)
    assert max(np.abs(left).max(), np.abs(right).max()) < 0.001


def test_frames_of_both_ends_are_cut_to_the_call(tmp_path: Path) -> None:
    """Packets from before connected media and from after the hang-up are not in the file."""
    loud = sent_by(encode_packets(tone(3.0)), first_ns=START_NS - 1_000_000_000)
    timeline = _timeline(loud, duration_ms=500)
    write_recording(timeline, tmp_path / "r", "opus")
    assert len(_heard(tmp_path / "r")[1]) == RATE_HZ // 2


def test_corrupt_packets_never_reach_the_file(tmp_path: Path) -> None:
    """A packet that does not decode would take the caller's half of its slot with it."""
    stream = sent_by(encode_packets(_agent_sound()), first_ns=START_NS)
    for at in (10, 20, 30):
        old = stream[at]
        stream[at] = ReceivedPacket(old.arrived_ns, old.sequence, old.timestamp, b"\x68")
        stream[at + 1] = ReceivedPacket(
            old.arrived_ns, old.sequence + 1, old.timestamp + 960, b"\xff\xff"
        )
    timeline = _timeline(stream)
    assert timeline.corrupt == 3
    write_recording(timeline, tmp_path / "r", "opus")
    left, _ = _heard(tmp_path / "r")
    assert _likeness(left[LOOKAHEAD_SAMPLES:], _caller_sound()) > 0.9


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    """Only the formats of a plan can be written."""
    with pytest.raises(ValueError, match="mp3"):
        write_recording(_timeline([]), tmp_path / "r", "mp3")


def test_wav_holds_48_khz_16_bit_stereo(tmp_path: Path) -> None:
    """Anybody's reader opens it."""
    write_recording(_timeline([]), tmp_path / "r", "wav")
    with wave.open(str(tmp_path / "r")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE_HZ)


def test_the_checksum_is_oggs() -> None:
    """Against a bit by bit computation from the specification's words (RFC 3533, section 6)."""

    def slowly(data: bytes) -> int:
        register = 0
        for byte in data:
            register ^= byte << 24
            for _ in range(8):
                register = (register << 1) ^ (0x04C11DB7 if register & 0x80000000 else 0)
                register &= 0xFFFFFFFF
        return register

    for data in (b"", b"\x00", b"OggS", bytes(range(256)) * 3):
        assert crc(data) == slowly(data)


@pytest.mark.parametrize("size", [0, 1, 251, 252, 253, 255, 256, 1275])
def test_a_self_delimited_packet_says_its_frames_length(size: int) -> None:
    """One byte up to 251, two from 252 (RFC 6716, section 3.2.1)."""
    marked = self_delimited(b"\x68" + bytes(size))
    first = marked[1]
    length, used = (first, 1) if first < 252 else (first + 4 * marked[2], 2)
    assert length == size
    assert len(marked) == 1 + used + size


def test_look_ahead_is_what_the_encoder_says() -> None:
    """The figure in `OpusHead` of libopus itself."""
    context = av.CodecContext.create("libopus", "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout, context.format = RATE_HZ, "mono", "s16"
    context.open()
    assert context.extradata is not None
    assert int.from_bytes(context.extradata[10:12], "little") == LOOKAHEAD_SAMPLES
