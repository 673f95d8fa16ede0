"""The private folder of one embedded fleet: made, locked while its owner lives, removed, swept.

Owns `<data dir>/embedded/*` and short socket folders under /tmp; refuses to know what lies inside.
A lock says who lives, not a process id: ids are reused, and the kernel drops a lock with its
holder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from shared.errors import CommandError, FleetError

LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel's limit is 107 on Linux and 103 on macOS."""
SOCKET_NAME = "valkey.sock"
SOCKET_FOLDER_NOTE = "socket-folder"
SOCKET_FOLDER_PREFIX = "phonebank-"
LOCK_NAME = "lock"


class PrivateFolder(msgspec.Struct, frozen=True):
    """`path` is ours alone (mode 0700); `socket` is where a Unix socket fits."""

    path: Path
    socket: Path


@contextlib.contextmanager
def private_folder(data_dir: Path) -> Iterator[PrivateFolder]:
    """A folder for the time of the block; folders of dead owners are swept on the way in.

    When the fleet failed, the folder with its logs stays until the next fleet sweeps it. Raises
    `CommandError` where no folder can be made.
    """
    try:
        path, lock = _made(data_dir / "embedded")
    except OSError as error:
        raise CommandError(f"PHONEBANK_DATA_DIR: {data_dir}: {error.strerror}") from None
    keep = False
    try:
        yield PrivateFolder(path, _socket_for(path))
    except FleetError:
        keep = True
        raise
    finally:
        if not keep:
            _remove(path)
        lock.close()


def _made(home: Path) -> tuple[Path, IO[str]]:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(home / ".home-lock"):  # nobody sweeps a folder between its making and its lock
        _sweep(home)
        path = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=home))
        lock = (path / LOCK_NAME).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return path, lock


def _socket_for(folder: Path) -> Path:
    socket = folder / SOCKET_NAME
    if len(os.fsencode(socket)) < LONGEST_SOCKET_PATH:
        return socket
    elsewhere = tempfile.mkdtemp(prefix=SOCKET_FOLDER_PREFIX, dir="/tmp")
    (folder / SOCKET_FOLDER_NOTE).write_text(elsewhere)
    return Path(elsewhere) / SOCKET_NAME


def _sweep(home: Path) -> None:
    for folder in home.iterdir():
        if not folder.is_dir():
            continue
        try:
            lock = (folder / LOCK_NAME).open("r+")
        except OSError:
            _remove(folder)
            continue
        with lock, contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(folder)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        elsewhere = Path((folder / SOCKET_FOLDER_NOTE).read_text())
        if elsewhere.name.startswith(SOCKET_FOLDER_PREFIX):
            shutil.rmtree(elsewhere, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
