"""The example agent as the real process that users start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MAIN = Path(__file__).parents[3] / "examples" / "agent" / "main.py"
ANNOUNCED = "listening on "


class AgentProcess:
    """A running agent; `offer_url` as it announced it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.announcement = process.stdout.readline().rstrip("\n")
        assert self.announcement.startswith(ANNOUNCED), "the agent ended before it could be called"
        self.offer_url = self.announcement.removeprefix(ANNOUNCED)
        self.base_url = self.offer_url.removesuffix("/api/offer")


@contextmanager
def running_agent(*options: str, parent_fd: int | None = None) -> Iterator[AgentProcess]:
    """An agent on a free port; it must end by itself and without an error when told to."""
    command = [sys.executable, str(MAIN), "--port", "0", *options]
    inherited = () if parent_fd is None else (parent_fd,)
    environ = {**os.environ, **({"PHONEBANK_PARENT_FD": str(inherited[0])} if inherited else {})}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=inherited,
        env=environ,
    ) as process:
        try:
            yield AgentProcess(process)
            process.terminate()
            _, complaints = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, complaints) == (0, "")
