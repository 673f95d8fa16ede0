"""The clip cache: each clip is made once, whoever asks, and survives what happens to its file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from shared.call import EndedReason, Step
from shared.errors import CallFailure, StudioError
from shared.persona import Noise
from tests.conftest import eventually
from worker.media.clip import Clip
from worker.media.clips import Clips
from worker.media.sound import Bed, Sound, SoundRequest, Spoken

HELLO = Spoken(text="Hello")


class Maker:
    """Makes clips of nothing and counts; can be held up, and made to fail."""

    def __init__(self) -> None:
        self.made: list[SoundRequest] = []
        self.assets: list[dict[str, Path]] = []
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.error: Exception | None = None

    async def make_clip(
        self, request: SoundRequest, assets: Mapping[str, Path] | None = None
    ) -> Clip:
        self.made.append(request)
        self.assets.append(dict(assets or {}))
        await self.may_go.wait()
        if self.error is not None:
            raise self.error
        return Clip(request.hash, [request.hash.encode() * 10] * 50, bytes(50), 6.5, 900.0)


async def _fetch(asset: str) -> Path:
    if asset == "sha256:missing":
        raise StudioError("no such asset")
    return Path("/assets") / asset


def _only_file(folder: Path) -> Path:
    (file,) = folder.rglob("*.clip")
    return file


def _clips(maker: Maker, folder: Path, memory_bytes: int = 10_000_000) -> Clips:
    return Clips(maker, folder, _fetch, memory_bytes)


async def test_two_who_ask_at_once_share_one_making(tmp_path: Path) -> None:
    """The second waits for the first."""
    maker = Maker()
    clips = _clips(maker, tmp_path)
    maker.may_go.clear()
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(clips.get(HELLO)) for _ in range(5)]
        await eventually(lambda: bool(maker.made), "the making began")
        maker.may_go.set()
    assert len(maker.made) == 1
    assert len({id(task.result()) for task in asking}) == 1


async def test_a_cancelled_asker_does_not_take_the_others_clip(tmp_path: Path) -> None:
    """The next in line makes it."""
    maker = Maker()
    clips = _clips(maker, tmp_path)
    maker.may_go.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(clips.get(HELLO))
        await eventually(lambda: bool(maker.made), "the making began")
        second = group.create_task(clips.get(HELLO))
        await asyncio.sleep(0)
        first.cancel()
        maker.may_go.set()
    assert second.result().hash == HELLO.hash


async def test_a_clip_outlives_the_process_on_disk(tmp_path: Path) -> None:
    """Another cache over the same folder makes nothing."""
    await _clips(Maker(), tmp_path).get(HELLO)
    later = Maker()
    clip = await _clips(later, tmp_path).get(HELLO)
    assert not later.made
    assert clip.audible_end_ms == 900.0


@pytest.mark.parametrize("damage", [b"", b"\x00\x00\x00", b"nonsense that is no clip"])
async def test_a_damaged_file_is_made_again(tmp_path: Path, damage: bytes) -> None:
    """And the file is whole again after it."""
    await _clips(Maker(), tmp_path).get(HELLO)
    file = _only_file(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(damage or whole[:-1])
    maker = Maker()
    await _clips(maker, tmp_path).get(HELLO)
    assert len(maker.made) == 1
    assert file.read_bytes() == whole


async def test_memory_is_bounded_and_the_oldest_goes_first(tmp_path: Path) -> None:
    """A clip that fell out of memory is read from disk, not made again."""
    maker = Maker()
    clips = _clips(maker, tmp_path, memory_bytes=120_000)
    requests = [Spoken(text=f"{n}") for n in range(5)]
    first = await clips.get(requests[0])
    for request in requests[1:]:
        await clips.get(request)
    again = await clips.get(requests[0])
    assert again == first
    assert again is not first
    assert len(maker.made) == 5


async def test_files_that_a_request_names_are_fetched(tmp_path: Path) -> None:
    """The sound's own file and the noise's, by name."""
    maker = Maker()
    request = Sound(asset="sha256:aa", noise=Noise(clip="sha256:bb"))
    await _clips(maker, tmp_path).get(request)
    assert maker.assets == [
        {"sha256:aa": Path("/assets/sha256:aa"), "sha256:bb": Path("/assets/sha256:bb")}
    ]


async def test_a_failure_names_the_step_and_is_not_remembered(tmp_path: Path) -> None:
    """The next call tries again."""
    maker = Maker()
    clips = _clips(maker, tmp_path)
    maker.error = StudioError("no such voice")
    with pytest.raises(CallFailure, match="no such voice") as failed:
        await clips.get(HELLO)
    assert failed.value.ended_reason is EndedReason.CLIP_FAILED
    assert failed.value.step is Step.CLIPS
    with pytest.raises(CallFailure, match="no such asset"):
        await clips.get(Sound(asset="sha256:missing"))
    maker.error = None
    assert (await clips.get(HELLO)).hash == HELLO.hash


async def test_a_disk_that_refuses_costs_no_call_its_clip(tmp_path: Path) -> None:
    """The clip comes although it cannot be kept."""
    (tmp_path / "taken").write_bytes(b"a file, not a folder")
    clips = _clips(Maker(), tmp_path / "taken")
    assert (await clips.get(HELLO)).hash == HELLO.hash


def test_requests_that_differ_in_anything_have_other_hashes() -> None:
    """Every knob is part of the name."""
    noisy = Noise(kind="pink")
    requests: list[SoundRequest] = [
        HELLO,
        Spoken(text="hello"),
        Spoken(text="Hello", voice="en-gb"),
        Spoken(text="Hello", speed=1.1),
        Spoken(text="Hello", pitch=1.1),
        Spoken(text="Hello", level_dbfs=-20.0),
        Spoken(text="Hello", noise=noisy),
        Spoken(text="Hello", noise=Noise(kind="pink", snr_db=16.0)),
        Sound(asset="sha256:aa"),
        Sound(asset="sha256:aa", as_recorded=True),
        Bed(),
        Bed(noise=noisy),
    ]
    assert len({request.hash for request in requests}) == len(requests)
    assert Spoken(text="Hello").hash == HELLO.hash
