"""Streams of packets and sounds that the media tests are made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from worker.media.loudness import Pcm
from worker.media.opus import RATE_HZ, encode_packets
from worker.transports.transport import ReceivedPacket

FRAME_NS = 20_000_000
Tone = Callable[[float], Pcm]


def tone(seconds: float, hz: float = 440.0, amplitude: float = 0.2) -> Pcm:
    """A sine at 48 kHz."""
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (amplitude * np.sin(2 * np.pi * hz * at)).astype(np.float32)


def silence(seconds: float) -> Pcm:
    """Digital silence at 48 kHz."""
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def sent_by(
    packets: list[bytes],
    *,
    first_ns: int = 1_000_000_000,
    step_ns: int = FRAME_NS,
    sequence: int = 0,
    timestamp: int = 0,
    samples: int = 960,
) -> list[ReceivedPacket]:
    """Packets as they arrive over a perfect line."""
    return [
        ReceivedPacket(
            first_ns + k * step_ns,
            (sequence + k) % 65536,
            (timestamp + k * samples) % 2**32,
            payload,
        )
        for k, payload in enumerate(packets)
    ]


@pytest.fixture(scope="session")
def quiet_packets() -> list[bytes]:
    """One second of silence."""
    return encode_packets(silence(1.0))


@pytest.fixture(scope="session")
def loud_packets() -> list[bytes]:
    """One second of a tone."""
    return encode_packets(tone(1.0))
