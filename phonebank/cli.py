"""The command `phonebank`. Owns the group, and what an error says and exits with.

One clear line on stderr, never a traceback unless `--debug` asks for one. Exit codes are those of
`phonebank.exit_codes`.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence

import click
import structlog

from phonebank.bench import bench
from phonebank.check import check
from phonebank.demo import demo
from phonebank.exit_codes import ExitCode, of_error
from phonebank.interrupt import Interrupted
from phonebank.options import option
from phonebank.processes import scheduler, worker
from phonebank.run import run
from phonebank.runs import cancel, runs, show
from phonebank.up import up
from shared.errors import PhonebankError

NAME = "phonebank"
CONTEXT = {
    "auto_envvar_prefix": "PHONEBANK",
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
    "show_default": True,
}


@click.group(context_settings=CONTEXT)
@click.version_option(package_name=NAME, prog_name=NAME)
@option("--debug", is_flag=True, help="Show logs and, when something fails, where it failed.")
def front_desk(debug: bool) -> None:
    """Phone voice agents with simulated callers, and say pass or fail."""
    level = logging.DEBUG if debug else logging.ERROR
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


for command in (run, check, demo, up, worker, scheduler, runs, show, cancel, bench):
    front_desk.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (default: this process's) and return the exit code; never raises."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or bool(os.environ.get("PHONEBANK_DEBUG"))
    try:
        answer = front_desk.main(args=words, prog_name=NAME, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return ExitCode.WRONG
    except (Interrupted, click.Abort, KeyboardInterrupt):
        return ExitCode.CANCELLED
    except BrokenPipeError:  # `phonebank runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.PASSED
    except Exception as error:  # noqa: BLE001 - the boundary to people: a line, not a traceback
        if debug:
            traceback.print_exc()
        sys.stderr.write(f"{NAME}: {_sentence(error, debug=debug)}\n")
        return of_error(error)
    return int(answer or ExitCode.PASSED)


def _sentence(error: Exception, *, debug: bool) -> str:
    if isinstance(error, PhonebankError):
        return str(error)
    hint = "" if debug else "; `phonebank --debug` shows where"
    return f"internal error: {type(error).__name__}: {error}{hint}"


if __name__ == "__main__":
    sys.exit(main())
