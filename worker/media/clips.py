"""Clips at hand: in memory, on disk, or from the studio. Owns the caching; makes no sound itself.

Files are named by the request's hash and written under another name first, so a reader sees a whole
file or none; a file that turns out damaged is made again.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from shared.call import EndedReason, Step
from shared.errors import CallFailure, FleetError
from worker.media.clip import Clip
from worker.media.sound import SoundRequest, assets_of

MEMORY_BYTES = 256 * 1024 * 1024
_CRC_BYTES = 4

log = structlog.get_logger()


class ClipMaker(Protocol):
    """What makes a clip that nobody has; `worker.studio_port.Studio` does."""

    async def make_clip(
        self, request: SoundRequest, assets: Mapping[str, Path] | None = None
    ) -> Clip:
        """Raises `shared.errors.StudioError`."""


class Clips:
    """One per process. `fetch_asset` gives the local file of an asset (`sha256:<hex>`)."""

    def __init__(
        self,
        maker: ClipMaker,
        folder: Path,
        fetch_asset: Callable[[str], Awaitable[Path]],
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._maker = maker
        self._folder = folder
        self._fetch_asset = fetch_asset
        self._memory_bytes = memory_bytes
        self._held_bytes = 0
        self._held: OrderedDict[str, Clip] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}
        self._decode = msgspec.msgpack.Decoder(Clip).decode

    async def get(self, request: SoundRequest) -> Clip:
        """The clip of a request, made at most once however many ask at the same time.

        Raises `CallFailure` (clip failed, at the clips step).
        """
        name = request.hash
        held = self._recall(name)
        if held is not None:
            return held
        # The lock goes with its last holder: whoever waits in line keeps it alive.
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with lock:
                return self._recall(name) or await self._obtain(name, request)
        finally:
            if not lock.locked() and self._locks.get(name) is lock:
                del self._locks[name]

    async def _obtain(self, name: str, request: SoundRequest) -> Clip:
        path = self._folder / name[:2] / f"{name}.clip"
        clip = await asyncio.to_thread(self._read, path)
        if clip is None:
            try:
                assets = {asset: await self._fetch_asset(asset) for asset in assets_of(request)}
                clip = await self._maker.make_clip(request, assets)
            except (FleetError, OSError) as error:
                raise CallFailure(EndedReason.CLIP_FAILED, Step.CLIPS, str(error)) from error
            await asyncio.to_thread(_write, path, clip)
        self._hold(clip)
        return clip

    def _recall(self, name: str) -> Clip | None:
        clip = self._held.get(name)
        if clip is not None:
            self._held.move_to_end(name)
        return clip

    def _hold(self, clip: Clip) -> None:
        self._held[clip.hash] = clip
        self._held_bytes += _weight(clip)
        while self._held_bytes > self._memory_bytes and len(self._held) > 1:
            _, oldest = self._held.popitem(last=False)
            self._held_bytes -= _weight(oldest)

    def _read(self, path: Path) -> Clip | None:
        try:
            data = path.read_bytes()
        except OSError:
            return None
        body = data[_CRC_BYTES:]
        if zlib.crc32(body) != int.from_bytes(data[:_CRC_BYTES], "big"):
            log.warning("clip_file_damaged", file=path.name)
            return None
        try:
            clip = self._decode(body)
        except msgspec.DecodeError:
            return None
        return clip if clip.hash == path.stem else None


def _write(path: Path, clip: Clip) -> None:
    """Keep for later; a disk that refuses costs the next process some work and nobody a call."""
    body = msgspec.msgpack.encode(clip)
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(zlib.crc32(body).to_bytes(_CRC_BYTES, "big") + body)
        partial.replace(path)
    except OSError as error:
        log.warning("clip_not_kept", error=str(error))


def _weight(clip: Clip) -> int:
    """Bytes in memory: a bytes object costs 33 more than it holds, its place in a list 8."""
    return sum(len(packet) + 41 for packet in clip.packets) + 500
