"""`phonebank bench`: what a caller costs here. Owns the start of its process, none of its options.

The bench belongs to the worker, which the front desk does not import; it has its own `--help`.
"""

from __future__ import annotations

import os
import subprocess

import click

from phonebank.child import python_module


@click.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> int:
    """Measure what callers cost on this machine; see `phonebank bench capacity --help`."""
    command = python_module("worker.bench", *arguments)
    environ = {**os.environ, "PYTHONSAFEPATH": "1"}
    return subprocess.run(command, env=environ, check=False).returncode  # noqa: S603 - our own
