"""Opus and sound files, by way of PyAV. Owns every use of the codec; knows no call and no clip.

One decoder per stream and one encoder per sound: both carry state from packet to packet.
"""

from __future__ import annotations

from pathlib import Path

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext

from worker.media.loudness import Pcm

RATE_HZ = 48_000
FRAME_SAMPLES = 960
LOOKAHEAD_SAMPLES = 312
"""Encoded sound comes out of the decoder this much later (6.5 ms): libopus' own figure."""
LOOKAHEAD_MS = LOOKAHEAD_SAMPLES / 48
BIT_RATE = 32_000
MAX_FILE_S = 600
"""A longer sound file is refused: it would be held in memory whole."""

Samples = npt.NDArray[np.int16]

_CONFIG_SAMPLES = [
    *[480, 960, 1920, 2880] * 3,  # SILK
    *[480, 960] * 2,  # hybrid
    *[120, 240, 480, 960] * 4,  # CELT
]


class OpusError(Exception):
    """A packet or file that cannot be decoded."""


def packet_samples(payload: bytes) -> int:
    """Samples at 48 kHz that a packet decodes to (RFC 6716, section 3.1); 0: not a packet."""
    if not payload:
        return 0
    code = payload[0] & 3
    if code == 3 and len(payload) < 2:
        return 0
    frames = (1, 2, 2)[code] if code < 3 else payload[1] & 0x3F
    samples = frames * _CONFIG_SAMPLES[payload[0] >> 3]
    return samples if samples <= 5760 else 0


def is_single_20ms(payload: bytes) -> bool:
    """One 20 ms frame in the packet's plainest form (code 0, at most 1275 bytes of frame)."""
    return (
        1 <= len(payload) <= 1276
        and payload[0] & 3 == 0
        and _CONFIG_SAMPLES[payload[0] >> 3] == FRAME_SAMPLES
    )


class MonoDecoder:
    """Decodes one stream to 48 kHz mono; stereo packets are mixed down."""

    def __init__(self) -> None:
        context = av.CodecContext.create("libopus", "r")
        assert isinstance(context, AudioCodecContext)
        context.sample_rate = RATE_HZ
        context.layout = "mono"
        self._context = context

    def decode(self, payload: bytes) -> Samples:
        """PCM of one packet, any frame size; after an `OpusError` the next packet decodes again."""
        if not packet_samples(payload):  # an empty packet would end the stream for good
            raise OpusError("not an Opus packet")
        try:
            frames = self._context.decode(av.Packet(payload))
        except av.error.FFmpegError as error:
            raise OpusError(str(error)) from error
        parts: list[Samples] = [
            np.frombuffer(memoryview(frame.planes[0]), np.int16, frame.samples) for frame in frames
        ]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)


class MonoEncoder:
    """Encodes one sound, 20 ms at a time, the same way on every machine with the same libopus."""

    def __init__(self) -> None:
        context = av.CodecContext.create("libopus", "w")
        assert isinstance(context, AudioCodecContext)
        context.sample_rate = RATE_HZ
        context.layout = "mono"
        context.format = "s16"
        context.bit_rate = BIT_RATE
        context.options = {
            "application": "voip",
            "compression_level": "10",
            "frame_duration": "20",
        }
        self._context = context

    def encode(self, samples: Samples) -> bytes:
        """The packet of 960 samples."""
        assert len(samples) == FRAME_SAMPLES
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        frame.sample_rate = RATE_HZ
        frame.planes[0].update(samples.astype("<i2", copy=False).tobytes())
        (packet,) = self._context.encode(frame)
        return bytes(packet)


def encode_packets(pcm: Pcm) -> list[bytes]:
    """20 ms packets of a whole 48 kHz sound (1.0 = full scale), the last filled with silence."""
    padded = np.zeros(-(-len(pcm) // FRAME_SAMPLES) * FRAME_SAMPLES, np.int16)
    padded[: len(pcm)] = to_samples(pcm)
    encoder = MonoEncoder()
    return [encoder.encode(frame) for frame in padded.reshape(-1, FRAME_SAMPLES)]


def to_samples(pcm: Pcm) -> Samples:
    """16-bit samples of float PCM; what is over full scale is clipped."""
    samples: Samples = np.clip(np.rint(pcm * 32767.0), -32768, 32767).astype(np.int16)
    return samples


def read_sound(path: Path) -> Pcm:
    """A sound file of any format that FFmpeg reads, as 48 kHz mono; raises `OpusError`."""
    try:
        with av.open(str(path), mode="r") as container:
            return _decoded(container)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        # Without the errno and the cache's path that `str` of it holds: nobody wrote them.
        reason = getattr(error, "strerror", None) or error
        raise OpusError(f"the file cannot be read as sound: {reason}") from error


def _decoded(container: av.container.InputContainer) -> Pcm:
    if not container.streams.audio:
        raise OpusError("the file holds no sound")
    parts: list[Pcm] = []
    total = 0
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE_HZ)
    for frame in container.decode(container.streams.audio[0]):
        for mono in resampler.resample(frame):
            parts.append(mono.to_ndarray()[0])
            total += mono.samples
        if total > MAX_FILE_S * RATE_HZ:
            raise OpusError(f"the file is longer than {MAX_FILE_S} s")
    parts.extend(mono.to_ndarray()[0] for mono in resampler.resample(None))
    if not parts:
        raise OpusError("the file holds no sound")
    return np.concatenate(parts).astype(np.float32, copy=False)
