"""Files that plans name, brought from storage to local disk once. Owns the copies; reads no sound.

A file is checked against the hash that is its name: storage that hands out anything else is found
here and not in a recording.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from pathlib import Path

from shared.assets import asset_hash, asset_key
from shared.errors import StorageError
from shared.storage import Storage


class Assets:
    """Local copies below `folder`."""

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage = storage
        self._folder = folder

    async def fetch(self, reference: str) -> Path:
        """The local file of `sha256:<hex>`; raises `StorageError`."""
        sha256 = asset_hash(reference)
        if sha256 is None:
            raise StorageError(f"{reference!r} is no reference to an asset")
        path = self._folder / sha256
        if not await asyncio.to_thread(path.exists):
            data = await self._storage.get(asset_key(sha256))
            await asyncio.to_thread(_keep, path, data)  # hashing 50 MB would stop the loop
        return path


def _keep(path: Path, data: bytes) -> None:
    """Write what its name promises, under another name first: a reader sees a whole file or none.

    Two may fetch the same file at once, so that other name is nobody else's.
    """
    if hashlib.sha256(data).hexdigest() != path.name:
        raise StorageError(f"storage holds other bytes than its name under {path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    unfinished.write_bytes(data)
    unfinished.replace(path)
