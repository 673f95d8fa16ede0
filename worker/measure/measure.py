"""Everything that is measured from one call's sound. Owns the walk from agent PCM to `Measures`.

Refuses what sound cannot tell: packet loss and jitter come from the transport, texts from evidence.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from shared.result import Measures, Turn
from worker.media.caller_turn import CallerTurn

OPUS_LOOKAHEAD_MS = 6.5
"""Delay of libopus' encoder (312 samples at 48 kHz), present in what its decoder gives."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What one call's sound says."""

    turns: list[Turn]
    """Caller and agent, by start time."""
    measures: Measures
    """Without `packet_loss_percent` and `jitter_ms`: the transport knows those."""
    detector: str
    """What found the agent's speech."""


def measure_call(
    agent_pcm: npt.NDArray[np.float32], duration_ms: float, caller_turns: list[CallerTurn]
) -> Measured:
    """Measure one call.

    `agent_pcm`: mono, 16 kHz, float, 1.0 = full scale, sample 0 at 0 ms = connected, as the Opus
    decoder gave it: the encoder's 6.5 ms are still inside and are taken off the agent's edges *here*.
    `caller_turns`: by start time, audible edges as sent (the encoder's delay included).
    """
    raise NotImplementedError
