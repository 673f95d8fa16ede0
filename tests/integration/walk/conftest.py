"""One healthy demo run that several tests look at, and a data folder that they all share."""

from __future__ import annotations

from pathlib import Path

import pytest

from phonebank.exit_codes import ExitCode
from tests.integration.storage.conftest import BUCKET, KEY_ID, SECRET, S3Server, s3_server
from tests.integration.walk.commands import command, processes_with

__all__ = ["s3_server"]  # a fixture of the storage tests, used here as well


TRIES = 3


class Demo:
    """A finished `phonebank demo`."""

    def __init__(self, folder: Path, exit_code: int, said: str, left: dict[int, str]) -> None:
        self.folder = folder
        self.exit_code = exit_code
        self.said = said
        self.left = left


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips made once serve all tests of the walk; the path also marks their processes."""
    return tmp_path_factory.mktemp("walk-data")


@pytest.fixture(scope="session")
def demo(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo as a newcomer runs it; again where the host's own trouble left no verdict."""
    environ = {"PHONEBANK_DATA_DIR": str(data_dir)}
    for _ in range(TRIES):
        folder = tmp_path_factory.mktemp("demo") / "results"
        with command("demo", "--out", str(folder), environ=environ) as running:
            exit_code = running.ended()
            found = Demo(folder, exit_code, running.said, processes_with(str(data_dir)))
        if exit_code != ExitCode.NO_VERDICT:
            break
    return found


@pytest.fixture
def s3_environ(s3_server: S3Server) -> dict[str, str]:
    """What a fleet needs to keep its results on the S3 server."""
    return {
        "PHONEBANK_STORAGE_URL": f"s3://{BUCKET}/nightly",
        "AWS_ENDPOINT_URL": s3_server.endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "BUCKET_FOLDER": str(s3_server.bucket),
    }
