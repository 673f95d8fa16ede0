"""The same behaviour on file://, memory:// and s3://; signatures are checked on the last."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import CommandError, StorageError
from shared.storage import NotStored, Storage
from tests.integration.storage.conftest import BUCKET, S3Server


@pytest.fixture(params=["file", "memory", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "file":
        yield Storage.open(f"file://{tmp_path}/a place/results")
    elif request.param == "memory":
        yield Storage.open("memory://")
    else:
        request.getfixturevalue("s3")
        yield Storage.open(f"s3://{BUCKET}/{tmp_path.name}")


async def test_what_was_put_is_got(storage: Storage) -> None:
    """Bytes come back; the last put wins; an empty object is an object."""
    await storage.put("runs/r/run.json", b"one", "application/json")
    await storage.put("runs/r/run.json", b"two", "application/json")
    await storage.put("runs/r/empty", b"")
    assert await storage.get("runs/r/run.json") == b"two"
    assert await storage.get("runs/r/empty") == b""
    assert await storage.exists("runs/r/run.json")


async def test_what_is_not_there_is_not_stored(storage: Storage) -> None:
    """Absence is told apart from failure, and both are storage errors."""
    assert not await storage.exists("runs/r/nothing")
    with pytest.raises(NotStored):
        await storage.get("runs/r/nothing")
    assert await storage.keys("runs/nobody") == []
    assert issubclass(NotStored, StorageError)


async def test_a_file_travels_whole(storage: Storage, tmp_path: Path) -> None:
    """A recording of 20 MB goes from disk to storage in one put and comes back the same."""
    recording = tmp_path / "recording.opus"
    recording.write_bytes(os.urandom(1 << 20) * 20)
    key = "runs/r/calls/0/1/recording.opus"
    await storage.put(key, recording, "audio/ogg")
    digest = hashlib.sha256(recording.read_bytes()).hexdigest()
    assert hashlib.sha256(await storage.get(key)).hexdigest() == digest


async def test_keys_are_listed_by_folder(storage: Storage) -> None:
    """A folder's keys, sorted and relative to the place; a name that only begins alike is not."""
    names = ["runs/r/calls/1/1/call.json", "runs/r/calls/10/1/call.json", "runs/r/run.json"]
    for name in reversed(names):
        await storage.put(name, b"{}")
    assert await storage.keys("runs/r") == names
    assert await storage.keys("runs/r/") == names
    assert await storage.keys("runs/r/calls/1") == names[:1]


async def test_many_at_once(storage: Storage) -> None:
    """Puts and gets may run as tasks beside each other."""
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(storage.put(f"many/{number}", str(number).encode()))
    got = await asyncio.gather(*(storage.get(f"many/{number}") for number in range(50)))
    assert got == [str(number).encode() for number in range(50)]


async def test_a_wrong_secret_is_refused(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server checks signatures, so the tests above prove ours; nothing was written."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    storage = Storage.open(f"s3://{BUCKET}/refused")
    with pytest.raises(StorageError, match=r"permission|Forbidden|Signature"):
        await storage.put("x", b"x")
    with pytest.raises(StorageError, match=r"permission|Forbidden|Signature"):
        await storage.get("x")
    assert not (s3.bucket / "refused").exists()


async def test_the_prefix_is_part_of_the_key(s3: S3Server) -> None:
    """`s3://bucket/prefix` keeps everything below the prefix."""
    storage = Storage.open(f"s3://{BUCKET}/team/nightly/")
    await storage.put("runs/r/run.json", b"{}", "application/json")
    assert (s3.bucket / "team/nightly/runs/r/run.json").exists()
    assert storage.url_of("runs/r/run.json") == f"s3://{BUCKET}/team/nightly/runs/r/run.json"
    assert await Storage.open(f"s3://{BUCKET}").exists("team/nightly/runs/r/run.json")


async def test_a_server_that_is_away_is_an_error_and_no_hang(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retries are bounded."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    storage = Storage.open(f"s3://{BUCKET}")
    with pytest.raises(StorageError, match="error sending request"):
        await asyncio.wait_for(storage.put("x", b"x"), 20)


async def test_a_file_url_names_the_file(tmp_path: Path) -> None:
    """On one host a person opens the object where `url_of` points."""
    storage = Storage.open(f"file://{tmp_path}/results")
    await storage.put("runs/r/run.json", b"{}", "application/json")
    path = Path(storage.url_of("runs/r/run.json").removeprefix("file://"))
    assert await asyncio.to_thread(path.read_bytes) == b"{}"


async def test_a_full_or_forbidden_disk_is_a_storage_error(tmp_path: Path) -> None:
    """What the file system refuses is said as such."""
    storage = Storage.open(f"file://{tmp_path}/results")
    (tmp_path / "results" / "runs").write_bytes(b"a file where a folder should be")
    with pytest.raises(StorageError):
        await storage.put("runs/r/run.json", b"{}")


@pytest.mark.parametrize("url", ["http://x", "s3://", "file://", "file://host/x", "/tmp/x", ""])
def test_a_place_of_another_kind_is_refused_by_name(url: str) -> None:
    """The variable to correct is named."""
    with pytest.raises(CommandError, match="PHONEBANK_STORAGE_URL"):
        Storage.open(url)
