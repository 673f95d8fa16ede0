"""`phonebank up`: an embedded fleet that stays until Ctrl-C. Owns what is said about it."""

from __future__ import annotations

import os

import click

from phonebank.exit_codes import ExitCode
from phonebank.fleet import FleetOrder, embedded_fleet
from phonebank.interrupt import Interrupt, run_interruptible
from phonebank.options import fleet_options, settings_from
from phonebank.report import Report
from shared.errors import CommandError


@click.command()
@fleet_options
def up(redis_url: str | None, storage_url: str | None, data_dir: str | None) -> int:
    """Start a fleet on this machine and keep it until Ctrl-C.

    Other commands and scripts reach it by the URLs that are printed. Plans may refer to every
    PHONEBANK_SECRET_* variable that is set here.
    """
    if redis_url is not None:
        raise CommandError("`up` starts a Redis of its own; unset PHONEBANK_REDIS_URL")
    settings = settings_from(redis_url=None, storage_url=storage_url, data_dir=data_dir)
    data_path = settings.data_path.absolute()
    order = FleetOrder(
        data_dir=data_path,
        storage_url=settings.storage_url or (data_path / "storage").as_uri(),
        environ=os.environ,
        with_metrics=True,
    )
    report = Report()

    async def body(interrupt: Interrupt) -> None:
        async with embedded_fleet(order) as fleet:
            interrupt.at_once.append(fleet.kill)
            with interrupt.gently():
                click.echo(f"export PHONEBANK_REDIS_URL={fleet.redis_url}")
                click.echo(f"export PHONEBANK_STORAGE_URL={fleet.storage_url}")
                for name, url in fleet.metrics_urls.items():
                    click.echo(f"# metrics of the {name}: {url}")
                report.say(f"the fleet is up; its logs: {fleet.folder}/*.log; Ctrl-C stops it")
                await interrupt.wished.wait()
                report.say("stopping the fleet; Ctrl-C again ends at once")

    run_interruptible(body)
    return ExitCode.PASSED
