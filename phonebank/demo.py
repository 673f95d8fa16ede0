"""`phonebank demo`: the example agent, the example plan and a fleet, in one command.

Owns the agent's process; the run itself is `phonebank.run`. Works in a checkout, where the example
is.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import msgspec

from phonebank.child import Program
from phonebank.child_environ import environ_for_children
from phonebank.exit_codes import of_run
from phonebank.interrupt import Interrupt, run_interruptible, show_cursor
from phonebank.options import fleet_options, option, settings_from
from phonebank.plan_file import Changes, ready_plan
from phonebank.reach import reach
from phonebank.report import Report
from phonebank.results import default_folder, drop_storage, make_folder, read_rows, read_run
from phonebank.run import STORAGE_FOLDER, Errand, own_fleet, run_there
from shared.errors import CommandError

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
AGENT_FILE = EXAMPLES / "agent" / "main.py"
PLAN_FILE = EXAMPLES / "booking.yaml"
LISTENING = "listening on "
AGENT_START_S = 30.0
"""The agent speaks all its lines once before it listens."""


@click.command()
@option("--fault", metavar="NAME", help="Let the agent do one thing wrong; `list` names them.")
@option("--out", type=click.Path(path_type=Path), metavar="DIR", help=(
    "Folder for the results. [default: phonebank-runs/<name>-<UTC time>]"))  # fmt: skip
@option("--json", "as_json", envvar="PHONEBANK_DEMO_JSON", is_flag=True, help=(
    "Print run.json on stdout and everything else on stderr."))  # fmt: skip
@fleet_options
def demo(
    fault: str | None,
    out: Path | None,
    as_json: bool,
    redis_url: str | None,
    storage_url: str | None,
    data_dir: str | None,
) -> int:
    """Call the example agent and judge it.

    With --fault the agent is broken on purpose, and exit code 1 says that phonebank found it.
    """
    for file in (AGENT_FILE, PLAN_FILE):
        if not file.exists():
            raise CommandError(f"the demo runs from a checkout of phonebank; {file} is not there")
    faults = _faults() if fault is not None else {}
    if fault == "list":
        for name, sentence in faults.items():
            click.echo(f"{name:<22} {sentence}")
        return 0
    if fault is not None and fault not in faults:
        raise CommandError(f"--fault {fault}: the agent knows {', '.join(faults)}")
    settings = settings_from(redis_url=None, storage_url=storage_url, data_dir=data_dir)
    report = Report(as_json=as_json)
    if redis_url is not None:
        report.say("the demo brings its own fleet and leaves the one at PHONEBANK_REDIS_URL alone")
    settings = msgspec.structs.replace(settings, redis_url=None)
    plan_name = ready_plan(PLAN_FILE).plan.name
    folder = make_folder(out or default_folder(f"{plan_name}-{fault}" if fault else plan_name))

    async def body(interrupt: Interrupt) -> Path:
        interrupt.at_once.append(show_cursor)
        report.say("starting the example agent and a fleet")
        async with own_fleet(settings, folder, set(), interrupt) as fleet:
            agent = await fleet.start(_agent(fault))
            line = await agent.line_with(LISTENING, AGENT_START_S)
            url = line.partition(LISTENING)[2].strip()
            report.say(
                f"the agent listens on {url}" + (f", with the fault {fault}" if fault else "")
            )
            ready = ready_plan(PLAN_FILE, Changes(set_words=_all_call(url)))
            errand = Errand(ready=ready, settings=settings, out=folder)
            async with reach(fleet.redis_url, fleet.storage_url) as there:
                return await run_there(errand, there, folder, report, interrupt)

    try:
        run_interruptible(body)
    finally:
        drop_storage(folder, folder / STORAGE_FOLDER)
    result = read_run(folder)
    report.results(result, read_rows(folder), folder)
    return of_run(result)


def _agent(fault: str | None) -> Program:
    environ = environ_for_children(os.environ, secrets=set(), with_aws=False)
    environ.pop("PYTHONSAFEPATH", None)  # its modules lie beside its main.py
    planted = ["--fault", fault] if fault else []
    return Program(
        name="agent",
        command=[sys.executable, str(AGENT_FILE), "--port", "0", *planted],
        environ=environ | {"PYTHONUNBUFFERED": "1"},
        max_restarts=0,  # it would come back at another address
        stop_s=5,
    )


def _all_call(url: str) -> tuple[str, ...]:
    agents = len(ready_plan(PLAN_FILE).plan.agents)
    return tuple(f'agents[{place}].smallwebrtc.offer_url="{url}"' for place in range(agents))


def _faults() -> dict[str, str]:
    """The agent's own list: name and sentence."""
    asked = subprocess.run(  # noqa: S603 - our own file
        [sys.executable, str(AGENT_FILE), "--list-faults"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if asked.returncode != 0:
        last = asked.stderr.strip().rpartition("\n")[2]
        raise CommandError(f"the example agent does not start: {last}")
    lines = (line.partition(" ") for line in asked.stdout.splitlines() if line.strip())
    return {name: sentence.strip() for name, _, sentence in lines}
