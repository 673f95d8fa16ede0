"""Whole processes for the walk's tests: commands, a fleet that stays up, an agent, and what is
left.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from shared.call import Verdict
from shared.result import CallResult, RunResult

ROOT = Path(__file__).parents[3]
PHONEBANK = (sys.executable, "-m", "phonebank")
BOOKING = ROOT / "examples" / "booking.yaml"
RUN_S = 240


class Command:
    """A `phonebank` command under way, with its output as lines."""

    def __init__(self, *words: str, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [*PHONEBANK, *words],
            cwd=ROOT,
            env={**os.environ, **environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said = ""

    def line_with(self, pattern: str) -> re.Match[str]:
        """Read on until a line matches; fails with what was said when the command ends first."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said += line
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"ended without {pattern!r}:\n{self.said}")

    def tell(self, number: signal.Signals) -> None:
        """Signal the command itself, as a terminal or a supervisor would."""
        self._process.send_signal(number)

    def ended(self, within_s: float = RUN_S) -> int:
        """Its exit code, once it has ended."""
        said, _ = self._process.communicate(timeout=within_s)
        self.said += said
        return self._process.returncode

    def close(self) -> None:
        """End it if it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        elif self._process.stdout is not None:
            self._process.stdout.close()


@contextlib.contextmanager
def command(*words: str, environ: Mapping[str, str]) -> Iterator[Command]:
    """A command for the time of the block."""
    running = Command(*words, environ=environ)
    try:
        yield running
    finally:
        running.close()


@contextlib.contextmanager
def agent(*options: str) -> Iterator[str]:
    """The example agent; yields its offer URL."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / "agent" / "main.py"), "--port", "0", *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().removeprefix("listening on ").strip()
    finally:
        process.terminate()
        process.communicate(timeout=20)


@contextlib.contextmanager
def fleet(data_dir: Path, environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """`phonebank up`; yields the environment that reaches it."""
    environ = {**environ, "PHONEBANK_DATA_DIR": str(data_dir)}
    with command("up", environ=environ) as running:
        urls = {}
        for name in ("PHONEBANK_REDIS_URL", "PHONEBANK_STORAGE_URL"):
            urls[name] = running.line_with(rf"export {name}=(\S+)")[1]
        running.line_with("the fleet is up")
        yield {**environ, **urls}
        running.tell(signal.SIGINT)
        assert running.ended(60) == 0, running.said


def run_of(folder: Path) -> RunResult:
    """What a results folder says of the run."""
    return msgspec.json.decode((folder / "run.json").read_bytes(), type=RunResult)


def rows_of(folder: Path) -> list[CallResult]:
    """The calls of a results folder, by index."""
    decode = msgspec.json.Decoder(CallResult).decode
    rows = [decode(line) for line in (folder / "calls.jsonl").read_bytes().splitlines()]
    return sorted(rows, key=lambda row: row.index)


def blames_nobody(run: RunResult) -> bool:
    """Whether a run with a healthy agent came to what it may: a pass, or calls that are void.

    A host that loses its cores to its neighbours voids calls and may leave a run without a verdict;
    what it must never do is fail one.
    """
    healthy = run.counts.failed == 0 and run.counts.unjudged == 0
    return healthy and (run.verdict is Verdict.PASS or run.counts.void > 0)


def processes_with(mark: str) -> dict[int, str]:
    """Processes whose environment or command line holds `mark`: pid → command line."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            environ = (folder / "environ").read_bytes()
            words = (folder / "cmdline").read_bytes()
            if mark.encode() in environ + words:
                found[int(folder.name)] = words.replace(b"\0", b" ").decode()
    return found
