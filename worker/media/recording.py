"""A call as a stereo file: left the caller, right the agent. Owns the formats, places nothing.

Opus is assembled from the packets that travelled, without transcoding, in slots of 20 ms. The slots
follow the caller's frames, which keep one beat, and the file's pre-skip puts them on the clock: the
caller's frames lie in their places, the agent's at most 10 ms from theirs. Packets of another shape
than one plain 20 ms frame need the agent's side decoded and encoded anew. In every format Opus's
6.5 ms are taken off what the agent says and are inside what the caller sent, as in all times of a
call: a sound of the caller stands where it left the socket.
"""

from __future__ import annotations

import math
import wave
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream

from worker.media.clip import PACKET_NS
from worker.media.ogg import OggWriter, dual_mono_head, self_delimited, tags
from worker.media.opus import (
    FRAME_SAMPLES,
    LOOKAHEAD_SAMPLES,
    RATE_HZ,
    MonoDecoder,
    OpusError,
    Samples,
    encode_packets,
    is_single_20ms,
)
from worker.media.timeline import PlacedFrame, Timeline

FORMATS = ("opus", "flac", "wav")
_CHUNK = RATE_HZ
_LOOKAHEAD_NS = LOOKAHEAD_SAMPLES * 1_000_000_000 // RATE_HZ


def write_recording(timeline: Timeline, path: Path, format_name: str) -> bool:
    """Write the file; True: the agent's packets could not be kept as they came.

    Always True for FLAC and WAV. Raises OSError, and ValueError for a format not in `FORMATS`.
    """
    if format_name == "opus":
        return _write_opus(timeline, path)
    if format_name not in FORMATS:
        raise ValueError(f"no recording format {format_name!r}")
    stereo = _stereo(timeline)
    if format_name == "wav":
        _write_wav(stereo, path)
    else:
        _write_flac(stereo, path)
    return True


def _write_opus(timeline: Timeline, path: Path) -> bool:
    early_ns = _early_ns(timeline)
    pre_skip = _samples(early_ns)
    length = pre_skip + round(timeline.duration_ms * RATE_HZ / 1000)
    slots = math.ceil(length / FRAME_SAMPLES)
    transcoded = not all(is_single_20ms(frame.payload) for frame in timeline.agent)
    left = _by_slot(timeline.caller, slots, early_ns)
    if transcoded:
        right = _encoded_anew(timeline, slots, early_ns)
    else:
        right = _by_slot(timeline.agent, slots, early_ns - _LOOKAHEAD_NS)
    with path.open("wb") as file:
        writer = OggWriter(file)
        writer.write(dual_mono_head(pre_skip), 0)
        writer.flush()
        writer.write(tags("phonebank"), 0)
        writer.flush()
        for slot in range(slots):
            granule = min((slot + 1) * FRAME_SAMPLES, length)
            writer.write(self_delimited(left[slot]) + right[slot], granule)
        writer.close()
    return transcoded


def _early_ns(timeline: Timeline) -> int:
    """How long before the call the first slot begins, 0 to 20 ms, so that slots keep the caller's
    beat.
    """
    return -timeline.caller[0].at_ns % PACKET_NS if timeline.caller else 0


def _samples(length_ns: int) -> int:
    return round(length_ns * RATE_HZ / 1e9)


def _by_slot(frames: list[PlacedFrame], slots: int, early_ns: int) -> list[bytes]:
    """The packet of each slot, silence where there is none; of two in a slot the later stays."""
    line = [_silence()] * slots
    for frame in frames:
        slot = (frame.at_ns + early_ns + PACKET_NS // 2) // PACKET_NS
        if 0 <= slot < slots:
            line[slot] = frame.payload
    return line


def _encoded_anew(timeline: Timeline, slots: int, early_ns: int) -> list[bytes]:
    # The agent's own look-ahead, and the one that encoding adds.
    begin = 2 * LOOKAHEAD_SAMPLES
    line = timeline.agent_samples.astype(np.float32) / 32767.0
    whole = np.concatenate([np.zeros(_samples(early_ns), np.float32), line])
    whole = whole[begin : begin + slots * FRAME_SAMPLES]
    padded = np.zeros(slots * FRAME_SAMPLES, np.float32)
    padded[: len(whole)] = whole
    return encode_packets(padded)


@cache
def _silence() -> bytes:
    return encode_packets(np.zeros(4 * FRAME_SAMPLES, np.float32))[-1]


def _stereo(timeline: Timeline) -> Samples:
    """Interleaved 16-bit samples at 48 kHz, exactly as long as the call."""
    length = round(timeline.duration_ms * RATE_HZ / 1000)
    stereo = np.zeros((length, 2), np.int16)
    decoder = MonoDecoder()
    early_ns = _early_ns(timeline)
    packets = _by_slot(timeline.caller, timeline.slots + 2, early_ns)
    left = np.concatenate([_decoded(decoder, packet) for packet in packets])
    heard = (left[_samples(early_ns) :], timeline.agent_samples[LOOKAHEAD_SAMPLES:])
    for channel, samples in enumerate(heard):
        stereo[: min(len(samples), length), channel] = samples[:length]
    return stereo


def _decoded(decoder: MonoDecoder, packet: bytes) -> Samples:
    try:
        return decoder.decode(packet)
    except OpusError:  # not ours, or not Opus at all: the slot stays silent
        return np.zeros(FRAME_SAMPLES, np.int16)


def _write_wav(stereo: Samples, path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(stereo.astype("<i2", copy=False).tobytes())


def _write_flac(stereo: Samples, path: Path) -> None:
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=RATE_HZ)
        assert isinstance(stream, AudioStream)
        stream.layout = "stereo"
        stream.format = "s16"
        for at in range(0, len(stereo), _CHUNK):
            chunk = np.ascontiguousarray(stereo[at : at + _CHUNK])
            frame = av.AudioFrame.from_ndarray(chunk.reshape(1, -1), format="s16", layout="stereo")
            frame.sample_rate = RATE_HZ
            frame.pts = at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
