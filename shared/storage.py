"""Object storage: one small class over `file://`, `s3://bucket/prefix` and `memory://`.

Owns bounded retries and obstore's errors as StorageError. Refuses multipart uploads
(an aborted one stays open and costs money), so 5 GB an object on S3, and conditional puts (some
servers accept and ignore them). S3 settings come from the usual AWS_* variables.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, MemoryStore, S3Store

from shared.errors import CommandError, StorageError

_RETRIES = 4
_RETRY_TIMEOUT = timedelta(seconds=30)
_ANSWER_TIMEOUT = timedelta(seconds=60)

T = TypeVar("T")


class NotStored(StorageError):  # noqa: N818 - an absence, told apart from a failure
    """There is nothing under that key."""

    reason = "not_stored"
    retryable = False


class Storage:
    """Keys are relative, with `/`; every method raises `StorageError`."""

    def __init__(self, store: LocalStore | MemoryStore | S3Store, url: str) -> None:
        self._store = store
        self.url = url.rstrip("/")
        self._keeps_attributes = not isinstance(store, LocalStore)

    @classmethod
    def open(cls, url: str) -> Storage:
        """Open a place; nothing is contacted yet. Raises `CommandError` for a URL of another kind.

        A `memory://` place is this object's own: nobody else sees it.
        """
        parts = urlsplit(url)
        try:
            match parts.scheme:
                case "file" if parts.netloc in ("", "localhost") and parts.path:
                    folder = unquote(parts.path)
                    return cls(LocalStore(folder, mkdir=True, automatic_cleanup=False), url)
                case "memory":
                    return cls(MemoryStore(), url)
                case "s3" if parts.netloc:
                    return cls(_s3(parts.netloc, parts.path.strip("/")), url)
        except (BaseError, ValueError, OSError) as error:
            raise CommandError(f"PHONEBANK_STORAGE_URL: {error}") from None
        right = "file:///dir, s3://bucket/prefix or memory://"
        raise CommandError(f"PHONEBANK_STORAGE_URL: expected {right}, got {url!r}")

    async def put(
        self, key: str, data: bytes | Path, content_type: str = "application/octet-stream"
    ) -> None:
        """Store bytes, or a file streamed from disk, in one PUT; whoever puts last wins.

        The content type is dropped on `file://`, which has no place for it.
        """
        attributes = {"Content-Type": content_type} if self._keeps_attributes else None
        putting = obstore.put_async(
            self._store, key, data, attributes=attributes, use_multipart=False
        )
        await _answer(key, putting)

    async def get(self, key: str) -> bytes:
        """The whole object; raises `NotStored` when there is none."""
        found = await _answer(key, obstore.get_async(self._store, key))
        return bytes(await _answer(key, found.bytes_async()))

    async def exists(self, key: str) -> bool:
        """Whether something is stored under the key."""
        try:
            await _answer(key, obstore.head_async(self._store, key))
        except NotStored:
            return False
        return True

    async def keys(self, prefix: str) -> list[str]:
        """All keys under a folder, sorted. `prefix` is whole path segments (`runs/x/calls`)."""
        listing = obstore.list(self._store, prefix=prefix.rstrip("/"))
        found = await _answer(prefix, listing.collect_async())
        return sorted(entry["path"] for entry in found)

    def url_of(self, key: str) -> str:
        """Where a person would look for the object."""
        return f"{self.url}/{key}"


def _s3(bucket: str, prefix: str) -> S3Store:
    return S3Store(
        bucket,
        prefix=prefix or None,
        client_options={
            "timeout": _ANSWER_TIMEOUT,
            "connect_timeout": timedelta(seconds=5),
            # Giving any client option makes obstore forget this variable.
            "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true"),
        },
        retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_TIMEOUT},
    )


async def _answer(key: str, asked: Awaitable[T]) -> T:
    # obstore gives futures, not coroutines: awaited here, so that callers can make tasks of ours.
    try:
        return await asked
    except (NotFoundError, FileNotFoundError) as error:
        raise NotStored(f"{key}: not stored") from error
    except (BaseError, OSError, ValueError) as error:
        raise StorageError(f"{key}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
