"""Results on the user's disk: which folder, how they get there, how they are read again.

Owns the layout under DIR: `run.json`, `calls.jsonl`, `calls/<index>/<attempt>/*`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from shared.errors import CommandError, FleetError, first_error
from shared.result import CallResult, RunResult
from shared.storage import Storage
from shared.storage_keys import rows_key, run_folder, run_key

RUNS_FOLDER = Path("phonebank-runs")
FETCHES_AT_ONCE = 16

_run_decoder = msgspec.json.Decoder(RunResult)
_row_decoder = msgspec.json.Decoder(CallResult)


def default_folder(plan_name: str, now: datetime | None = None) -> Path:
    """`./phonebank-runs/<name>-<UTC time>`, with the name made fit for a path."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plan_name).strip("-.") or "run"
    stamp = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    return RUNS_FOLDER / f"{name}-{stamp}"


def make_folder(folder: Path) -> Path:
    """The absolute folder, made now so that a run is not lost to a wrong path at its end."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--out {folder}: {error.strerror or error}") from None
    return folder.resolve()


def read_run(folder: Path) -> RunResult:
    """The run's result. Raises `CommandError` where there is none."""
    try:
        return _run_decoder.decode((folder / "run.json").read_bytes())
    except (OSError, msgspec.MsgspecError) as error:
        raise CommandError(f"{folder}: no results of a run: {error}") from None


def read_rows(folder: Path) -> Iterator[CallResult]:
    """The calls, one at a time and in the order in which they are stored."""
    with contextlib.suppress(FileNotFoundError), (folder / "calls.jsonl").open("rb") as lines:
        for line in lines:
            if line.strip():
                yield _row_decoder.decode(line)


def newest_run(folder: Path, plan_name: str) -> tuple[Path, RunResult] | None:
    """The newest results of a plan in `folder` itself or in the folders in it."""
    found: list[tuple[str, Path, RunResult]] = []
    for file in [folder / "run.json", *folder.glob("*/run.json")]:
        try:
            result = _run_decoder.decode(file.read_bytes())
        except (OSError, msgspec.MsgspecError):
            continue
        if result.name == plan_name:
            found.append((result.submitted_at or result.finished_at, file.parent, result))
    if not found:
        return None
    _, newest, result = max(found, key=lambda entry: entry[0])
    return newest, result


def clear(folder: Path) -> None:
    """Remove what an earlier run left in `folder`; whatever else lies there stays."""
    for name in ("run.json", "calls.jsonl"):
        (folder / name).unlink(missing_ok=True)
    for call in (folder / "calls").glob("*"):
        if call.name.isdigit():
            shutil.rmtree(call, ignore_errors=True)


async def fetch_summary(storage: Storage, run: str, folder: Path) -> None:
    """Bring the run's result and the rows of its calls, without what lies behind them."""
    await _fetch_one(storage, rows_key(run), folder / "calls.jsonl")
    await _fetch_one(storage, run_key(run), folder / "run.json")


async def fetch(storage: Storage, run: str, folder: Path) -> None:
    """Bring the run's result and every call's committed attempt to `folder`.

    Files of a `file://` storage on the same disk are linked, not copied. Raises `StorageError`, or
    `FleetError` where `folder` does not take them.
    """
    try:
        await _fetch_all(storage, run, folder)
    except (OSError, ExceptionGroup) as failure:
        error = first_error(failure) if isinstance(failure, ExceptionGroup) else failure
        if isinstance(error, OSError):
            raise FleetError(f"results do not go into {folder}: {error}") from None
        raise error from None


async def _fetch_all(storage: Storage, run: str, folder: Path) -> None:
    await asyncio.to_thread(clear, folder)
    prefix = f"{run_folder(run)}/"
    await _fetch_one(storage, rows_key(run), folder / "calls.jsonl")
    winners = await asyncio.to_thread(_winners, folder)
    limit = asyncio.Semaphore(FETCHES_AT_ONCE)

    async def bring(key: str) -> None:
        async with limit:
            await _fetch_one(storage, key, folder / key.removeprefix(prefix))

    for batch in _batches(sorted(await storage.keys(f"{prefix}calls/")), 1000):
        async with asyncio.TaskGroup() as group:
            for key in batch:
                if key.removeprefix(prefix).rpartition("/")[0] in winners:
                    group.create_task(bring(key))
    # Last: a folder with a run.json is whole.
    await _fetch_one(storage, run_key(run), folder / "run.json")


def drop_storage(folder: Path, storage_folder: Path) -> None:
    """Remove the storage of an embedded fleet once all that it holds was fetched to `folder`."""
    stored = {run.name for run in (storage_folder / "runs").glob("*")}
    with contextlib.suppress(CommandError):  # nothing was fetched: what there is stays
        if stored <= {read_run(folder).run}:
            shutil.rmtree(storage_folder, ignore_errors=True)


def local_folder(storage: Storage, run: str) -> Path | None:
    """Where the run's results already lie on this host; None when storage is elsewhere."""
    url = storage.url_of(run_key(run))
    path = _path_of(url)
    return path.parent if path is not None and path.exists() else None


async def _fetch_one(storage: Storage, key: str, target: Path) -> None:
    source = _path_of(storage.url_of(key))
    target.parent.mkdir(parents=True, exist_ok=True)
    if source is not None and await asyncio.to_thread(_linked, source, target):
        return
    content = await storage.get(key)
    await asyncio.to_thread(target.write_bytes, content)


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _path_of(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _winners(folder: Path) -> set[str]:
    return {f"calls/{row.index}/{row.attempt}" for row in read_rows(folder)}


def _batches(keys: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
