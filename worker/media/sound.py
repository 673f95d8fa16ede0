"""What a clip is made from. Owns the requests and their content hashes; refuses to make any sound.

A request names everything that decides the packets, so equal requests give byte-identical clips.
`ALGORITHM` goes up whenever the same request would give other packets.
"""

from __future__ import annotations

import hashlib

import msgspec

from shared.persona import Noise

ALGORITHM = 1


class _Hashed(msgspec.Struct, frozen=True, kw_only=True):
    """Something whose content decides its name."""

    @property
    def hash(self) -> str:
        """SHA-256 of the request and the algorithm's version, 64 hexadecimal digits."""
        content = msgspec.msgpack.encode([ALGORITHM, self])
        return hashlib.sha256(content).hexdigest()


class Spoken(_Hashed, frozen=True, kw_only=True, tag="spoken"):
    """Words in a voice. Knobs are those of `shared.persona.Persona`."""

    text: str
    voice: str = "en-us"
    speed: float = 1.0
    pitch: float = 1.0
    level_dbfs: float = -23.0
    """RMS of the audible parts."""
    noise: Noise | None = None
    """`Noise.snr_db` is counted from `level_dbfs`."""


class Sound(_Hashed, frozen=True, kw_only=True, tag="sound"):
    """A user's sound file."""

    asset: str
    """`sha256:<hex>` of the file's bytes."""
    level_dbfs: float = -23.0
    """RMS of the audible parts, and the level from which `Noise.snr_db` is counted."""
    as_recorded: bool = False
    """Keep the file's own level instead of bringing it to `level_dbfs`."""
    noise: Noise | None = None


class Bed(_Hashed, frozen=True, kw_only=True, tag="bed"):
    """What the line carries while the caller says nothing; played as a loop without an end."""

    level_dbfs: float = -23.0
    """Level of the speech from which `Noise.snr_db` is counted."""
    noise: Noise | None = None
    """None: silence."""


SoundRequest = Spoken | Sound | Bed


def assets_of(request: SoundRequest) -> list[str]:
    """References (`sha256:<hex>`) of the files that this request needs."""
    found = [request.asset] if isinstance(request, Sound) else []
    if request.noise is not None and request.noise.clip is not None:
        found.append(request.noise.clip)
    return found
