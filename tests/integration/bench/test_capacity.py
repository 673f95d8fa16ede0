"""The bench runs and says what it promises; how fast anything is, is no matter here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CALLERS = 3
TOLERANCE_PER_S = 2.0
"""Windows of 2 s on a busy machine: a packet more or less at each edge, and some delay."""


@pytest.mark.timeout(180)
def test_every_profile_sends_and_receives_fifty_packets_a_second(tmp_path: Path) -> None:
    """Three callers of each kind, two seconds: a table within 100 columns and rows in a file."""
    file = tmp_path / "bench.json"
    command = [sys.executable, "-m", "phonebank", "bench", "capacity", "--again", "0"]
    command += ["--profile", "naive,packet,packet-no-listen", "--callers", str(CALLERS)]
    command += ["--seconds", "2", "--warmup", "0.5", "--json", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    assert said.returncode == 0, said.stderr
    assert max(map(len, said.stdout.splitlines())) <= 100
    found = json.loads(file.read_bytes())
    assert {"cpu", "cores", "python", "aiortc"} <= found["machine"].keys()
    assert [row["profile"] for row in found["rows"]] == ["naive", "packet", "packet-no-listen"]
    for row in found["rows"]:
        assert row["callers"] == row["callers_sending"] == CALLERS
        assert row["calls_broken"] == 0
        assert row["cpu_ms_per_call_s"] > 0
        assert row["packets_per_s"] == pytest.approx(50, abs=TOLERANCE_PER_S)
        assert row["packets_received_per_s"] == pytest.approx(50, abs=TOLERANCE_PER_S)
    assert [ratio["profile"] for ratio in found["ratios"]] == ["packet", "packet-no-listen"]


@pytest.mark.parametrize("wrong", [["--callers", "0"], ["--seconds", "1000"], ["--profile", "x"]])
def test_options_out_of_bounds_are_refused(wrong: list[str]) -> None:
    """Exit code 2 and a sentence, before anything is started."""
    command = [sys.executable, "-m", "phonebank", "bench", "capacity", *wrong]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert said.returncode == 2
    assert wrong[0] in said.stderr
