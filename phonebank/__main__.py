"""The way into the command, as `phonebank` and as `python -m phonebank`.

Owns the second in which everything is loaded: Ctrl-C in it is a cancelled command, not a traceback.
"""

import sys


def main() -> int:
    """Load the command and run it; returns the exit code."""
    try:
        from phonebank.cli import main as command  # noqa: PLC0415 - this is what takes the second
    except KeyboardInterrupt:
        return 130  # ExitCode.CANCELLED, which may not be loaded yet
    return command()


if __name__ == "__main__":
    sys.exit(main())
