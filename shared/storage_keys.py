"""The layout of stored results, the same below a storage URL and in a results folder.

runs/<run>/plan.json                            as submitted
runs/<run>/run.json                             what the run came to (shared.result.RunResult)
runs/<run>/calls.jsonl                          one shared.result.CallResult a line, by index
runs/<run>/calls/<index>/winner.json            which attempt counts (shared.result.Winner)
runs/<run>/calls/<index>/<attempt>/call.json    one attempt
runs/<run>/calls/<index>/<attempt>/recording.<ext>
assets/<sha256>                                 clips and noises that plans name
"""

from __future__ import annotations


def run_folder(run: str) -> str:
    """Everything of one run."""
    return f"runs/{run}"


def plan_key(run: str) -> str:
    """The plan as it was submitted."""
    return f"runs/{run}/plan.json"


def run_key(run: str) -> str:
    """What the run came to."""
    return f"runs/{run}/run.json"


def rows_key(run: str) -> str:
    """All committed calls, a line each."""
    return f"runs/{run}/calls.jsonl"


def call_folder(run: str, index: int) -> str:
    """All attempts of one call."""
    return f"runs/{run}/calls/{index}"


def attempt_folder(run: str, index: int, attempt: int) -> str:
    """One attempt of one call."""
    return f"runs/{run}/calls/{index}/{attempt}"


def call_key(run: str, index: int, attempt: int) -> str:
    """One attempt's result."""
    return f"runs/{run}/calls/{index}/{attempt}/call.json"


def recording_key(run: str, index: int, attempt: int, extension: str) -> str:
    """One attempt's recording."""
    return f"runs/{run}/calls/{index}/{attempt}/recording.{extension}"


def winner_key(run: str, index: int) -> str:
    """Which attempt was committed."""
    return f"runs/{run}/calls/{index}/winner.json"
