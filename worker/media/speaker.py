"""What one caller sends next. Owns the choice of packet; refuses to send or to know the time.

Background packets are a function of the frame's index, so two calls with the same clips at the same
frames send the same bytes. All changes take effect at the next frame.
"""

from __future__ import annotations

import msgspec

from worker.media.clip import Clip


class Sending(msgspec.Struct, frozen=True, gc=False):
    """One 20 ms frame to send."""

    payload: bytes
    level: int
    """RFC 6464, 0 to 127."""
    clip_hash: str | None = None
    """None: background."""
    position: int = 0
    """Index of the packet within its clip; 0 is where a playing begins."""
    ended: bool = False
    """This is the clip's last packet."""


class Speaker:
    """Plays clips over an endless background, one packet per frame."""

    def __init__(self, bed: Clip) -> None:
        self._bed = bed
        self._clip: Clip | None = None
        self._position = 0
        self._frame = 0

    @property
    def playing(self) -> bool:
        """A clip has packets left to send."""
        return self._clip is not None

    def play(self, clip: Clip) -> None:
        """Begin `clip` at the next frame, in place of whatever is playing."""
        self._clip = clip if clip.packets else None
        self._position = 0

    def stop(self) -> None:
        """Cut: the next frame is background."""
        self._clip = None

    def skip(self, frames: int) -> None:
        """Count frames that a stall swallowed; a clip loses them as a microphone would."""
        self._frame += frames
        if self._clip is not None:
            self._position = min(self._position + frames, len(self._clip.packets) - 1)

    def next_packet(self) -> Sending:
        """The packet of this frame; call once per 20 ms frame."""
        index = self._frame
        self._frame += 1
        clip = self._clip
        if clip is None:
            at = index % len(self._bed.packets)
            return Sending(self._bed.packets[at], self._bed.levels[at], None, at)
        at = self._position
        self._position += 1
        ended = self._position == len(clip.packets)
        if ended:
            self._clip = None
        return Sending(clip.packets[at], clip.levels[at], clip.hash, at, ended)
