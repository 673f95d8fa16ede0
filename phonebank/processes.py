"""`phonebank worker` and `phonebank scheduler`: this process becomes one of the fleet's.

Owns the change of process; the front desk imports neither service.
"""

from __future__ import annotations

import os
from typing import NoReturn

import click

from phonebank.child import python_module
from phonebank.options import fleet_options, option, settings_from
from phonebank.reach import urls_of


def _become(module: str, spoken: dict[str, str | None]) -> NoReturn:
    """Replace this process, so that signals and exit codes are the service's own."""
    given = {name: value for name, value in spoken.items() if value is not None}
    command = python_module(module)
    environ = {**os.environ, **given, "PYTHONSAFEPATH": "1"}
    os.execve(command[0], command, environ)  # noqa: S606 - our own interpreter and module


@click.command()
@option("--slots", envvar="PHONEBANK_SLOTS", metavar="N", help="Most calls at the same time.")
@option("--metrics-port", envvar="PHONEBANK_METRICS_PORT", metavar="PORT", help="Port of /metrics.")
@fleet_options
def worker(
    slots: str | None,
    metrics_port: str | None,
    redis_url: str | None,
    storage_url: str | None,
    data_dir: str | None,
) -> None:
    """Hold calls for the fleet until told to stop."""
    urls_of(settings_from(redis_url=redis_url, storage_url=storage_url, data_dir=data_dir))
    _become(
        "worker.main",
        {
            "PHONEBANK_SLOTS": slots,
            "PHONEBANK_METRICS_PORT": metrics_port,
            "PHONEBANK_REDIS_URL": redis_url,
            "PHONEBANK_STORAGE_URL": storage_url,
            "PHONEBANK_DATA_DIR": data_dir,
        },
    )


@click.command()
@option("--metrics-port", envvar="PHONEBANK_METRICS_PORT", metavar="PORT", help="Port of /metrics.")
@fleet_options
def scheduler(
    metrics_port: str | None,
    redis_url: str | None,
    storage_url: str | None,
    data_dir: str | None,
) -> None:
    """Turn plans into calls and calls into verdicts until told to stop."""
    urls_of(settings_from(redis_url=redis_url, storage_url=storage_url, data_dir=data_dir))
    _become(
        "scheduler.main",
        {
            "PHONEBANK_METRICS_PORT": metrics_port,
            "PHONEBANK_REDIS_URL": redis_url,
            "PHONEBANK_STORAGE_URL": storage_url,
            "PHONEBANK_DATA_DIR": data_dir,
        },
    )
