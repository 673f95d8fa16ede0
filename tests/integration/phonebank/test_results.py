"""Results on the user's disk, from storage of either kind."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from phonebank.results import (
    default_folder,
    drop_storage,
    fetch,
    local_folder,
    newest_run,
    read_rows,
    read_run,
)
from shared.errors import FleetError, StorageError
from shared.storage import Storage
from tests.unit.phonebank.calls import a_call, a_run


async def filled(url: str) -> Storage:
    """A storage that holds a run of two calls, one of which took two attempts."""
    storage = Storage.open(url)
    rows = [a_call(0, attempt=2), a_call(1)]
    encoder = msgspec.json.Encoder()
    await storage.put("runs/run-1/run.json", encoder.encode(a_run(name="my run")))
    await storage.put("runs/run-1/calls.jsonl", encoder.encode_lines(rows))
    for place in ("0/1", "0/2", "1/1"):
        await storage.put(f"runs/run-1/calls/{place}/call.json", place.encode())
        await storage.put(f"runs/run-1/calls/{place}/recording.opus", b"OggS")
    await storage.put("runs/run-1/calls/0/winner.json", b"{}")
    return storage


def files_in(folder: Path) -> set[str]:
    """Relative paths of all files."""
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(params=["file", "memory"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Storage on this disk, whose path needs quoting in a URL, and storage elsewhere."""
    disk = (tmp_path / "a store").as_uri()
    return await filled(disk if request.param == "file" else "memory://")


async def test_a_folder_holds_the_run_and_the_committed_attempts(
    storage: Storage, tmp_path: Path
) -> None:
    """What an attempt left that lost is not shown."""
    out = tmp_path / "out"
    await fetch(storage, "run-1", out)
    assert files_in(out) == {
        "run.json",
        "calls.jsonl",
        "calls/0/2/call.json",
        "calls/0/2/recording.opus",
        "calls/1/1/call.json",
        "calls/1/1/recording.opus",
    }
    assert (out / "calls/0/2/call.json").read_text() == "0/2"
    assert read_run(out).name == "my run"
    assert [row.attempt for row in read_rows(out)] == [2, 1]


async def test_an_earlier_runs_files_are_replaced_and_others_stay(
    storage: Storage, tmp_path: Path
) -> None:
    """A folder shows one run, never a mixture."""
    out = tmp_path / "out"
    (out / "calls" / "77" / "1").mkdir(parents=True)
    (out / "calls" / "77" / "1" / "call.json").write_text("old")
    (out / "notes.txt").write_text("mine")
    await fetch(storage, "run-1", out)
    assert not (out / "calls" / "77").exists()
    assert (out / "notes.txt").read_text() == "mine"


async def test_a_run_that_is_not_stored_is_an_error(storage: Storage, tmp_path: Path) -> None:
    """And no run.json pretends otherwise."""
    with pytest.raises(StorageError):
        await fetch(storage, "run-2", tmp_path / "out")
    assert not (tmp_path / "out" / "run.json").exists()


async def test_a_folder_that_does_not_take_the_results_is_named(
    storage: Storage, tmp_path: Path
) -> None:
    """One error that says where, not a group of them from the tasks that fetched."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "calls").write_text("a file of somebody's")
    with pytest.raises(FleetError, match=str(out)):
        await fetch(storage, "run-1", out)


async def test_results_on_this_host_are_named_where_they_are(tmp_path: Path) -> None:
    """Only those: what lies in memory or in a bucket has no folder."""
    there = await filled((tmp_path / "a store").as_uri())
    assert local_folder(there, "run-1") == tmp_path / "a store" / "runs" / "run-1"
    assert local_folder(there, "run-2") is None
    assert local_folder(await filled("memory://"), "run-1") is None


async def test_an_embedded_fleets_storage_goes_once_it_was_fetched(tmp_path: Path) -> None:
    """And stays when it was not: it is all that there is of the run."""
    there = tmp_path / ".storage"
    storage = await filled(there.as_uri())
    drop_storage(tmp_path, there)
    assert there.exists()
    await fetch(storage, "run-1", tmp_path)
    drop_storage(tmp_path, there)
    assert not there.exists()
    assert (tmp_path / "calls/1/1/recording.opus").read_bytes() == b"OggS"


def test_the_newest_results_of_a_plan_are_found_by_its_name(tmp_path: Path) -> None:
    """In a folder itself or in the folders in it."""
    for day, name in ((1, "mine"), (3, "mine"), (5, "other")):
        folder = tmp_path / f"day-{day}"
        folder.mkdir()
        result = a_run(name=name, submitted_at=f"2026-01-0{day}T00:00:00Z")
        (folder / "run.json").write_bytes(msgspec.json.encode(result))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    found = newest_run(tmp_path, "mine")
    assert found is not None
    assert found[0] == tmp_path / "day-3"
    assert newest_run(tmp_path / "day-1", "mine") is not None
    assert newest_run(tmp_path, "none of these") is None


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("booking", "booking-2"),
        ("über/../etc", "ber-..-etc-2"),
        ("../..", "run-2"),
        ("日本", "run-2"),
    ],
)
def test_a_plans_name_never_leaves_the_runs_folder(name: str, start: str) -> None:
    """Names are free text, folders are not."""
    folder = default_folder(name)
    assert folder.parent == Path("phonebank-runs")
    assert folder.name.startswith(start)
