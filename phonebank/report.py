"""Where the command's words go: tables and verdict, progress, JSON, JUnit. Owns the two streams.

Results go to stdout and everything about the way there to stderr; with `--json` stdout holds
run.json and nothing else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import msgspec
from rich.console import Console

from phonebank.junit import junit_xml
from phonebank.tables import calls_table, findings_of, findings_table, verdict_lines
from shared.errors import CommandError
from shared.result import CallResult, RunResult


class Speaker(Console):
    """A console whose listener may leave (`| head`): the rest is lost, the exit code is not."""

    def on_broken_pipe(self) -> None:
        """Say nothing more; rich would end the process with 1, which means fail."""
        self.quiet = True
        _to_nowhere(self.file)


class Report:
    """The voice of one command. Raises `CommandError` for a `junit` that cannot be written."""

    def __init__(self, *, as_json: bool = False, junit: Path | None = None) -> None:
        self._as_json = as_json
        self._junit = junit
        if junit is not None:
            _make_room(junit)
        self.progress = Speaker(stderr=True, highlight=False)
        self._results = Speaker(stderr=as_json, highlight=False)

    def say(self, sentence: str) -> None:
        """One sentence about the way."""
        self.progress.print(sentence, markup=False, soft_wrap=True)

    def results(self, result: RunResult, rows: Iterable[CallResult], folder: Path | str) -> None:
        """Calls, findings, verdict and the folder that holds everything."""
        calls = list(rows)
        console = self._results
        console.print(calls_table(calls))
        findings = findings_of(calls)
        if findings:
            console.print()
            console.print("What kept calls from passing", style="bold")
            console.print(findings_table(findings))
        console.print()
        console.print(verdict_lines(result))
        console.print(f"  results and recordings: {folder}", markup=False, soft_wrap=True)
        if self._junit is not None:
            self._write_junit(self._junit, result, calls)
        if self._as_json:
            _print_json(result)

    def _write_junit(self, file: Path, result: RunResult, calls: list[CallResult]) -> None:
        try:
            file.write_bytes(junit_xml(result, calls))
        except OSError as error:
            raise CommandError(f"--junit {file}: {error.strerror or error}") from None


def _make_room(junit: Path) -> None:
    """Make the file's folder now, so that a run is not lost to a wrong path at its end."""
    try:
        junit.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--junit {junit}: {error.strerror or error}") from None
    if junit.is_dir() or not os.access(junit if junit.exists() else junit.parent, os.W_OK):
        raise CommandError(f"--junit {junit}: no file can be written there")


def _print_json(result: RunResult) -> None:
    pretty = msgspec.json.format(msgspec.json.encode(result), indent=2)
    try:
        sys.stdout.write(pretty.decode() + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _to_nowhere(sys.stdout)


def _to_nowhere(stream: IO[str]) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
