"""`phonebank run PLAN`: submit, show progress, wait, fetch, judge by exit code.

Owns the order of these steps; each step itself lives in its own module.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import click
import msgspec

from phonebank.exit_codes import ExitCode, of_run
from phonebank.fleet import EmbeddedFleet, FleetOrder, embedded_fleet
from phonebank.interrupt import Interrupt, Interrupted, run_interruptible, show_cursor
from phonebank.last_failed import LastFailed, NothingFailedError
from phonebank.options import fleet_options, option, settings_from
from phonebank.plan_file import Changes, ReadyPlan, ready_plan
from phonebank.progress import Progress, RunView
from phonebank.reach import Reach, Watcher, cancel, follow, hand_over, reach, urls_of
from phonebank.report import Report
from phonebank.results import (
    RUNS_FOLDER,
    default_folder,
    drop_storage,
    fetch,
    local_folder,
    make_folder,
    read_rows,
    read_run,
)
from phonebank.selection import selection_from
from shared.errors import FleetError, first_error
from shared.settings import Settings
from shared.state.runs import RunStatus

STORAGE_FOLDER = ".storage"
"""Where an embedded fleet writes inside DIR until the results are fetched."""
CANCEL_DEADLINE_S = 30.0


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """One run that the command was asked for. `out` None: the default place."""

    ready: ReadyPlan
    settings: Settings
    out: Path | None = None
    idempotency_key: str | None = None


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@option("--out", type=click.Path(path_type=Path), metavar="DIR", help=(
    "Folder for the results; what an earlier run left there is replaced. "
    "[default: phonebank-runs/<name>-<UTC time>]"))  # fmt: skip
@option("--only", multiple=True, metavar="scenario=NAME", help=(
    "Run only this scenario (or persona=NAME, agent=NAME); may be repeated."))  # fmt: skip
@option("--last-failed", is_flag=True, help=(
    "Run only the scenarios, personas and agents of calls that did not pass in the newest results "
    "of this plan in --out."))  # fmt: skip
@option("--set", "set_words", envvar="PHONEBANK_RUN_SET", multiple=True,
    metavar="path=value", help=(
    "Change one value of the plan, such as load.concurrency=5; may be repeated."))  # fmt: skip
@option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML to FILE.")
@option("--json", "as_json", envvar="PHONEBANK_RUN_JSON", is_flag=True, help=(
    "Print run.json on stdout and everything else on stderr."))  # fmt: skip
@option("--idempotency-key", metavar="KEY", help="The same key twice is the same run.")
@fleet_options
def run(  # noqa: PLR0913 - click hands over one argument per option
    *,
    plan: Path,
    out: Path | None,
    only: tuple[str, ...],
    last_failed: bool,
    set_words: tuple[str, ...],
    junit: Path | None,
    as_json: bool,
    idempotency_key: str | None,
    redis_url: str | None,
    storage_url: str | None,
    data_dir: str | None,
) -> int:
    """Run PLAN and say pass or fail.

    Without a Redis URL a fleet is started here for the time of the run. Exit code: 0 pass, 1 fail,
    2 the plan or the command is wrong, 3 no verdict, 4 the fleet failed or cannot be reached,
    130 on Ctrl-C (the run is cancelled; a second Ctrl-C ends at once).
    """
    settings = settings_from(redis_url=redis_url, storage_url=storage_url, data_dir=data_dir)
    report = Report(as_json=as_json, junit=junit)
    failed = LastFailed(out or RUNS_FOLDER) if last_failed else None
    changes = Changes(set_words=set_words, only=selection_from(only), failed=failed)
    try:
        ready = ready_plan(plan, changes)
    except NothingFailedError as nothing:
        report.say(str(nothing))
        return ExitCode.PASSED
    errand = Errand(ready=ready, settings=settings, out=out, idempotency_key=idempotency_key)
    return carry_out(errand, report)


def carry_out(errand: Errand, report: Report) -> ExitCode:
    """Do the errand and show what came of it; raises `Interrupted` when the user ended it."""

    async def body(interrupt: Interrupt) -> Path:
        interrupt.at_once.append(show_cursor)
        if errand.settings.redis_url is None:
            report.say("starting a fleet")  # takes seconds
        async with _fleet_for(errand, interrupt) as (there, out):
            return await run_there(errand, there, out, report, interrupt)

    folder = run_interruptible(body)
    result = read_run(folder)
    report.results(result, read_rows(folder), folder)
    return of_run(result)


async def run_there(
    errand: Errand, there: Reach, out: Path | None, report: Report, interrupt: Interrupt
) -> Path:
    """Hand the plan over, follow the run, bring its results; returns the folder that holds them."""
    name = errand.ready.plan.name
    view = RunView(name=name, planned=errand.ready.plan.call_count, note="waiting for the fleet")
    with Progress(report.progress, view) as progress, interrupt.gently():
        run = await hand_over(there, errand.ready, errand.idempotency_key)
        watcher = Watcher(
            lambda status: progress.show(_view_of(name, status, interrupt)), progress.ended
        )
        await _follow_or_cancel(there, run, watcher, report, interrupt)
    if interrupt.wished.is_set():
        with contextlib.suppress(FleetError):  # a cancelled run shows what it has, or nothing
            folder = await _bring(there, run, out)
            report.say(f"cancelled; what was done until then: {folder}")
        raise Interrupted
    return await _bring(there, run, out)


async def _follow_or_cancel(
    there: Reach, run: str, watcher: Watcher, report: Report, interrupt: Interrupt
) -> None:
    """Follow the run to its end; when the user wants out, cancel it and follow a little longer."""
    try:
        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow(there, run, watcher), name="follow")
            wishing = group.create_task(interrupt.wished.wait(), name="wish")
            await asyncio.wait({following, wishing}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                report.say("cancelling the run; Ctrl-C again ends at once")
                await cancel(there, run)
                await asyncio.wait({following}, timeout=CANCEL_DEADLINE_S)
            following.cancel()
            wishing.cancel()
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None


@contextlib.asynccontextmanager
async def _fleet_for(
    errand: Errand, interrupt: Interrupt
) -> AsyncIterator[tuple[Reach, Path | None]]:
    """The fleet that is there, or one of our own; and where results go (None: where they are)."""
    settings, plan = errand.settings, errand.ready.plan
    if settings.redis_url is not None:
        out = make_folder(errand.out) if errand.out is not None else None
        async with reach(*urls_of(settings)) as there:
            yield there, out
        return
    folder = make_folder(errand.out or default_folder(plan.name))
    try:
        async with (
            own_fleet(settings, folder, errand.ready.secrets, interrupt) as fleet,
            reach(fleet.redis_url, fleet.storage_url) as there,
        ):
            yield there, folder
    finally:
        drop_storage(folder, folder / STORAGE_FOLDER)


@contextlib.asynccontextmanager
async def own_fleet(
    settings: Settings, folder: Path, secrets: set[str], interrupt: Interrupt
) -> AsyncIterator[EmbeddedFleet]:
    """An embedded fleet that stores inside `folder`, unless the settings name a storage."""
    order = FleetOrder(
        data_dir=settings.data_path.absolute(),
        storage_url=settings.storage_url or (folder / STORAGE_FOLDER).as_uri(),
        environ=os.environ,
        secrets=secrets,
    )
    async with embedded_fleet(order) as fleet:
        interrupt.at_once.append(fleet.kill)
        yield fleet


async def _bring(there: Reach, run: str, out: Path | None) -> Path:
    if out is None:
        lying = local_folder(there.storage, run)
        if lying is not None:
            return lying
        out = make_folder(default_folder(run))
    await fetch(there.storage, run, out)
    return out


def _view_of(name: str, status: RunStatus, interrupt: Interrupt) -> RunView:
    note = ""
    if interrupt.wished.is_set() or status.cancelled:
        note = "cancelling"
    elif not status.running and not status.done:
        note = "waiting for a free caller"
    elif status.done >= status.planned and not status.over:
        note = "storing the results"
    return RunView(
        name=name,
        planned=status.planned,
        running=status.running,
        done=status.done,
        passed=status.passed,
        failed=status.failed,
        void=status.void,
        note=note,
    )
