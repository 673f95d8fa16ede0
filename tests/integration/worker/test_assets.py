"""Files that plans name, fetched once and whole."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from shared.assets import asset_key
from shared.errors import StorageError
from shared.storage import Storage
from worker.assets import Assets


async def test_fetching_one_file_many_times_at_once_leaves_one_whole_file(tmp_path: Path) -> None:
    """Each fetch writes under a name of its own before it puts the file in its place."""
    data = bytes(range(256)) * 4000
    name = hashlib.sha256(data).hexdigest()
    storage = Storage.open("memory://")
    await storage.put(asset_key(name), data)
    assets = Assets(storage, tmp_path / "assets")
    paths = await asyncio.gather(*(assets.fetch(f"sha256:{name}") for _ in range(8)))
    assert {path.read_bytes() for path in paths} == {data}
    assert [path.name for path in (tmp_path / "assets").iterdir()] == [name]


async def test_bytes_that_are_not_what_their_name_says_are_refused(tmp_path: Path) -> None:
    """Nothing of them is kept."""
    name = hashlib.sha256(b"what the plan meant").hexdigest()
    storage = Storage.open("memory://")
    await storage.put(asset_key(name), b"something else")
    with pytest.raises(StorageError, match="other bytes"):
        await Assets(storage, tmp_path / "assets").fetch(f"sha256:{name}")
    assert not (tmp_path / "assets").exists()
