"""Files of a plan are replaced by their hashes where the command runs."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import pytest

from shared.assets import asset_hash, asset_key, collect
from shared.errors import PlanError
from shared.plan_text import SUBMITTED, read_tree, surface
from tests.unit.plan.plans import BOOKING, minimal


def test_files_become_hashes_and_the_tree_can_be_submitted(tmp_path: Path) -> None:
    """The same file twice is one asset; the tree that was given stays as it was."""
    (tmp_path / "a.wav").write_bytes(b"sound")
    (tmp_path / "same.wav").write_bytes(b"sound")
    tree = minimal()
    tree["scenarios"][0]["script"] = [{"play": "a.wav"}, {"play": str(tmp_path / "same.wav")}]
    tree["personas"][0]["noise"] = {"clip": "./a.wav"}
    before = copy.deepcopy(tree)
    changed, files = collect(tree, tmp_path)
    sha256 = hashlib.sha256(b"sound").hexdigest()
    assert tree == before
    assert set(files) == {sha256}
    assert files[sha256].read_bytes() == b"sound"
    plan = read_tree(changed, where=SUBMITTED)
    assert plan.personas[0].noise is not None
    assert plan.personas[0].noise.clip == f"sha256:{sha256}"
    assert asset_hash(f"sha256:{sha256}") == sha256
    assert asset_key(sha256) == f"assets/{sha256}"


@pytest.mark.parametrize("clip", ["missing.wav", ".", "", "a\x00b", "x" * 5000])
def test_what_is_no_file_is_refused_at_its_place(tmp_path: Path, clip: str) -> None:
    """Missing files, folders and impossible names."""
    tree = minimal()
    tree["scenarios"][0]["script"].append({"play": clip})
    with pytest.raises(PlanError) as caught:
        collect(tree, tmp_path)
    assert caught.value.path == "$.scenarios[0].script[1].play"


def test_a_missing_file_is_refused_with_its_line(tmp_path: Path) -> None:
    """As any other mistake in the plan."""
    with pytest.raises(PlanError) as caught:
        collect(surface(BOOKING, "booking.yaml"), tmp_path)
    assert caught.value.file == "booking.yaml"
    assert caught.value.line == 1 + BOOKING[: BOOKING.index("door.wav")].count("\n")


def test_only_hashes_of_full_length_are_hashes() -> None:
    """Neither paths nor shortened or upper-case hashes."""
    for clip in ("a.wav", "sha256:00", "sha256:" + "A" * 64, "sha256:../" + "0" * 61):
        assert asset_hash(clip) is None
