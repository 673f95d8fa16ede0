"""What a caller costs, beside the targets. Owns the targets; `phonebank bench capacity` measures.

Ratios are of windows of one run, one after another on the same core. Absolute time depends on the
machine, so only punctuality is promised of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.prove.figures import Figure, Proof, table

PART = "bench"
CALLERS = 20
MORE_CALLERS = (50, 100)
PACKET_TO_NAIVE = 0.40
DEAF_TO_NAIVE = 0.30
RATE_PER_S = 50.0
RATE_OFF_PER_S = 0.1
LATENESS_P99_MS = 5.0
RUN_LIMIT_S = 3600.0
PROFILES = "naive,packet,packet-no-listen"


def prove(*, quick: bool) -> Proof:
    """Three profiles at 20 callers with targets; without `quick` also 50 and 100 without any."""
    seconds = 5 if quick else 10
    found = _measured(PROFILES, [CALLERS], seconds, repeat=1 if quick else 3)
    more = {"rows": []} if quick else _measured("packet", MORE_CALLERS, seconds, repeat=1)
    rows: list[dict[str, Any]] = found["rows"] + more["rows"]
    at = {row["profile"]: row for row in found["rows"]}
    figures = [
        _ratio(at, "packet", PACKET_TO_NAIVE),
        _ratio(at, "packet-no-listen", DEAF_TO_NAIVE),
        *_promises(at["packet"]),
        *_promises(at["packet-no-listen"]),
    ]
    return Proof(
        figures=figures,
        repeated=sum(row["tries"] - 1 for row in rows),
        notes=[_note(row) for row in rows],
        details={"rows": rows, "machine": found["machine"]},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print figures beside targets; exit code 1: one was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove.bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(argv)
    proof = prove(quick=options.quick)
    sys.stdout.write(table(proof) + "\n")
    if options.json is not None:
        said = {**proof.details, "figures": proof.figures}
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(said)) + b"\n")
    return 0 if all(figure.met for figure in proof.figures) else 1


def _measured(profiles: str, callers: Sequence[int], seconds: int, *, repeat: int) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.json"
        command = [sys.executable, "-m", "phonebank", "bench", "capacity"]
        command += ["--profile", profiles, "--callers", ",".join(map(str, callers))]
        command += ["--seconds", str(seconds), "--repeat", str(repeat), "--json", str(file)]
        subprocess.run(command, check=True, timeout=RUN_LIMIT_S, stdout=subprocess.DEVNULL)
        return json.loads(file.read_bytes())


def _ratio(at: dict[str, dict[str, Any]], profile: str, limit: float) -> Figure:
    value = at[profile]["cpu_ms_per_call_s"] / at["naive"]["cpu_ms_per_call_s"]
    name = f"{profile} / naive, CPU at {CALLERS} callers"
    return _figure(name, value, "", f"<= {limit:g}", met=value <= limit)


def _promises(row: dict[str, Any]) -> list[Figure]:
    who = f"{row['profile']} at {row['callers']} callers"
    off = max(abs(row[key] - RATE_PER_S) for key in ("packets_per_s", "packets_received_per_s"))
    late_ms = row["lateness_p99_ms"]
    return [
        _figure(f"{who}, packets/s off {RATE_PER_S:g}", off, "", f"<= {RATE_OFF_PER_S:g}",
                met=off <= RATE_OFF_PER_S),
        _figure(f"{who}, lateness p99", late_ms, "ms", f"<= {LATENESS_P99_MS:g}",
                met=late_ms <= LATENESS_P99_MS),
    ]  # fmt: skip


def _figure(name: str, value: float, unit: str, target: str, *, met: bool) -> Figure:
    return Figure(
        part=PART, name=name, value=round(value, 3), unit=unit, target=target, met=met, n=1
    )


def _note(row: dict[str, Any]) -> str:
    doubts = ", ".join([*row["invalid"], *row["noisy"]])
    return (
        f"{row['profile']} at {row['callers']}: {row['cpu_ms_per_call_s']:.2f} ms/call-s, "
        f"core {row['core_percent']:.0f} %, p99 {row['lateness_p99_ms']:.1f} ms, "
        f"{row['packets_per_s']:.2f} packets/s{f' ({doubts})' if doubts else ''}"
    )


if __name__ == "__main__":
    sys.exit(main())
