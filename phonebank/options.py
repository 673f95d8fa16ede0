"""Options that several commands share. Owns how an option looks; refuses to act on one.

Every option has an environment variable, and `--help` shows both.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click

from shared.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

option = partial(click.option, show_envvar=True)


def fleet_options(command: Command) -> Command:
    """`--redis-url`, `--storage-url`, `--data-dir`: which fleet, and where things lie."""
    options = (
        option(
            "--redis-url",
            envvar="PHONEBANK_REDIS_URL",
            metavar="URL",
            help="Redis of the fleet; without it `run`, `demo` and `up` start a fleet here.",
        ),
        option(
            "--storage-url",
            envvar="PHONEBANK_STORAGE_URL",
            metavar="URL",
            help="Object storage of the fleet: file:///DIR or s3://BUCKET/PREFIX.",
        ),
        option(
            "--data-dir",
            envvar="PHONEBANK_DATA_DIR",
            metavar="DIR",
            help="Clip cache and private folders of fleets started here.",
        ),
    )
    for decorate in reversed(options):
        command = decorate(command)
    return command


def settings_from(
    *, redis_url: str | None, storage_url: str | None, data_dir: str | None
) -> Settings:
    """Settings of the environment with the command line's word over it."""
    spoken = {
        "PHONEBANK_REDIS_URL": redis_url,
        "PHONEBANK_STORAGE_URL": storage_url,
        "PHONEBANK_DATA_DIR": data_dir,
    }
    given = {name: value for name, value in spoken.items() if value is not None}
    return Settings.from_environ({**os.environ, **given})
