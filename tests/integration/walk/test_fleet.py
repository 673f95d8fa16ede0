"""The same run over other ways: handed over by a script, stored on S3, with a worker killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.call import RunState
from shared.result import CallResult, Decision
from tests.conftest import eventually
from tests.integration.walk.commands import (
    BOOKING,
    ROOT,
    RUN_S,
    agent,
    blames_nobody,
    command,
    fleet,
    processes_with,
    rows_of,
    run_of,
)
from tests.integration.walk.conftest import Demo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

_Answer = dict[str, dict[str, Any]]
DEMO_URL = "http://127.0.0.1:7860/api/offer"


def _submit(environ: dict[str, str], plan: Path) -> _Answer:
    """Hand a plan over as another program would; the answer."""
    script = str(ROOT / "examples" / "submit.py")
    asked = subprocess.run(
        [sys.executable, script, environ["PHONEBANK_REDIS_URL"], str(plan)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answer: _Answer = msgspec.json.decode(asked.stdout, type=_Answer)
    return answer


def _booking(url: str, repeat: int) -> tuple[str, ...]:
    """The booking plan against the agent at `url`, with so many repetitions."""
    changes = (f'agents[0].smallwebrtc.offer_url="{url}"', f"repeat={repeat}")
    return ("run", str(BOOKING), *(word for change in changes for word in ("--set", change)))


def _chosen(rows: list[CallResult]) -> dict[int, list[Decision]]:
    return {row.index: row.decisions for row in rows}


async def test_a_plan_handed_over_by_a_script_gives_the_same_calls(
    demo: Demo, data_dir: Path, tmp_path: Path
) -> None:
    """XADD from another process: same verdict, and per call the same clips and decisions again."""
    with fleet(data_dir, {}) as environ, agent() as url:
        plan = tmp_path / "plan.yaml"
        plan.write_text(BOOKING.read_text().replace(DEMO_URL, url))
        run = _submit(environ, plan)["accepted"]["run"]
        storage = Path(environ["PHONEBANK_STORAGE_URL"].removeprefix("file://"))
        folder = storage / "runs" / run
        await eventually(
            lambda: run_of(folder).state is RunState.FINISHED, "the run's verdict", RUN_S
        )
    assert blames_nobody(run_of(folder)), run_of(folder).why
    assert _chosen(rows_of(folder)) == _chosen(rows_of(demo.folder))
    assert all(row.decisions for row in rows_of(folder))


def test_a_broken_plan_is_refused_at_the_answer_key(data_dir: Path, tmp_path: Path) -> None:
    """The refusal names the path and what would be right; nothing runs."""
    plan = tmp_path / "plan.yaml"
    plan.write_text(BOOKING.read_text().replace("hang_up: {}", "hangup: {}", 1))
    with fleet(data_dir, {}) as environ:
        refused = _submit(environ, plan)["refused"]
    assert refused["path"].startswith("$.scenarios[0].script[6]")
    assert "hang_up" in refused["right"]
    assert isinstance(refused["line"], int)


def test_the_same_run_on_s3_stores_the_same_objects(
    data_dir: Path, tmp_path: Path, s3_environ: dict[str, str]
) -> None:
    """Results go to a server that checks signatures, under the same keys as on disk."""
    out = tmp_path / "out"
    with agent() as url:
        environ = {**s3_environ, "PHONEBANK_DATA_DIR": str(data_dir)}
        with command(*_booking(url, repeat=1), "--out", str(out), environ=environ) as running:
            running.ended()
    assert blames_nobody(run_of(out)), running.said
    stored = _keys(Path(s3_environ["BUCKET_FOLDER"]) / "nightly" / "runs")
    fetched = {name for name in _keys(out) if name.startswith("calls/")}
    assert {"run.json", "calls.jsonl", "plan.json"} <= stored
    assert {name for name in stored if name.endswith("recording.opus")} == {
        row.recording.key for row in rows_of(out) if row.recording is not None
    }
    assert fetched <= stored
    assert len(rows_of(out)) == 4


def test_a_wrong_key_for_s3_is_found_before_any_call(
    data_dir: Path, tmp_path: Path, s3_environ: dict[str, str]
) -> None:
    """The server refuses the signature; the command says so and exits with 4."""
    environ = {
        **s3_environ,
        "AWS_SECRET_ACCESS_KEY": "wrong",
        "PHONEBANK_DATA_DIR": str(data_dir),
    }
    out = str(tmp_path / "out")
    with command("run", str(BOOKING), "--out", out, environ=environ) as running:
        assert running.ended() == 4, running.said
    assert "storage" in running.said
    assert "Traceback" not in running.said


def test_a_killed_media_process_costs_no_call(data_dir: Path, tmp_path: Path) -> None:
    """SIGKILL in mid-call: the run ends by itself and every call has exactly one result."""
    mark, out = tmp_path / "data", tmp_path / "out"
    mark.symlink_to(data_dir)
    environ = {"PHONEBANK_DATA_DIR": str(mark)}
    with (
        agent() as url,
        command(*_booking(url, repeat=2), "--out", str(out), environ=environ) as running,
    ):
        running.line_with(r"[1-9]\d*/8 calls, [1-9]\d* running")
        found = processes_with(str(mark)).items()
        workers = [pid for pid, words in found if "worker.main" in words]
        assert len(workers) == 1
        os.kill(workers[0], signal.SIGKILL)
        running.ended()
    rows = rows_of(out)
    assert Counter(row.index for row in rows) == Counter(range(8)), running.said
    assert any("worker_lost" in row.earlier_attempts for row in rows)
    assert blames_nobody(run_of(out)), running.said


def _keys(folder: Path) -> set[str]:
    """Files below `folder`, named from the run's folder on."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {re.sub(r"^[^/]*/(?=(calls/|run\.json|calls\.jsonl|plan\.json))", "", n) for n in names}
