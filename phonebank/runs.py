"""`phonebank runs`, `show RUN`, `cancel RUN`: a fleet's runs. Owns looking at what is there."""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from phonebank.exit_codes import ExitCode, of_run
from phonebank.options import fleet_options, option, settings_from
from phonebank.reach import cancel as cancel_there
from phonebank.reach import reach, urls_of
from phonebank.report import Report, Speaker
from phonebank.results import fetch, fetch_summary, make_folder, read_rows, read_run
from phonebank.tables import VERDICT_STYLES
from shared.errors import CommandError
from shared.state.runs import RunStatus, list_runs
from shared.state.runs import read_run as read_status
from shared.storage import NotStored
from shared.storage_keys import run_folder

RUN_ID = re.compile(r"[A-Za-z0-9-]{1,100}")


@click.command()
@fleet_options
def runs(redis_url: str | None, storage_url: str | None, data_dir: str | None) -> int:
    """List the fleet's latest runs, newest first."""
    urls = urls_of(settings_from(redis_url=redis_url, storage_url=storage_url, data_dir=data_dir))

    async def body() -> list[RunStatus]:
        async with reach(*urls) as there:
            return await list_runs(there.redis)

    Speaker(highlight=False).print(runs_table(asyncio.run(body())))
    return ExitCode.PASSED


@click.command()
@click.argument("run")
@option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Fetch everything to DIR.")
@option("--json", "as_json", envvar="PHONEBANK_SHOW_JSON", is_flag=True, help=(
    "Print run.json on stdout and everything else on stderr."))  # fmt: skip
@fleet_options
def show(
    run: str,
    out: Path | None,
    as_json: bool,
    redis_url: str | None,
    storage_url: str | None,
    data_dir: str | None,
) -> int:
    """Show what RUN came to; the exit code is that of `phonebank run`."""
    if not RUN_ID.fullmatch(run):
        raise CommandError(f"{run!r} is not a run; `phonebank runs` lists them")
    urls = urls_of(settings_from(redis_url=redis_url, storage_url=storage_url, data_dir=data_dir))
    with tempfile.TemporaryDirectory() as scratch:
        folder = make_folder(out or Path(scratch))
        where = asyncio.run(_bring(urls, run, folder, whole=out is not None))
        result = read_run(folder)
        Report(as_json=as_json).results(result, read_rows(folder), where)
    return of_run(result)


@click.command()
@click.argument("run")
@fleet_options
def cancel(run: str, redis_url: str | None, storage_url: str | None, data_dir: str | None) -> int:
    """Cancel RUN: no call is started any more and running ones hang up."""
    urls = urls_of(settings_from(redis_url=redis_url, storage_url=storage_url, data_dir=data_dir))

    async def body() -> bool:
        async with reach(*urls) as there:
            return await cancel_there(there, run)

    if not asyncio.run(body()):
        raise CommandError(f"the run {run} is not running")
    Report().say(f"{run} is being cancelled")
    return ExitCode.PASSED


async def _bring(urls: tuple[str, str], run: str, folder: Path, *, whole: bool) -> str:
    """Fetch a run that is over; returns where people find it."""
    async with reach(*urls) as there:
        status = await read_status(there.redis, run)
        if status is not None and not status.over:
            raise CommandError(
                f"the run {run} is {status.state}: {status.done} of {status.planned} calls done"
            )
        try:
            await (fetch if whole else fetch_summary)(there.storage, run, folder)
        except NotStored as error:
            raise CommandError(f"there are no results of a run {run}: {error}") from None
        return str(folder) if whole else there.storage.url_of(run_folder(run))


def runs_table(found: list[RunStatus]) -> Table:
    """A line per run; on a narrow screen its name is shortened and nothing else."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("run", no_wrap=True)
    table.add_column("name")
    for title in ("state", "verdict", "calls"):
        table.add_column(title, no_wrap=True)
    for status in found:
        verdict = status.verdict
        table.add_row(
            status.run,
            # The column may be narrowed, unlike the others; the text stays on one line.
            Text(status.record.name, no_wrap=True, overflow="ellipsis"),
            str(status.state),
            Text(str(verdict), style=VERDICT_STYLES[verdict]) if verdict else "-",
            f"{status.done}/{status.planned}",
        )
    return table
