"""`python -m tests.prove [truth|alignment|bench|all] [--json FILE] [--quick]`: figures and targets.

Each part is a module here with `prove(*, quick: bool) -> Proof`. Exit code 1: a target was missed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import logging
import os
import platform
import sys
import time
from pathlib import Path

import msgspec
import structlog

from tests.prove.figures import Proof, table

PARTS = ("truth", "alignment", "bench")


def main() -> int:
    """Run what was asked for, print it, keep it where wanted."""
    parser = argparse.ArgumentParser(prog="python -m tests.prove", description=__doc__)
    parser.add_argument("part", nargs="?", default="all", choices=(*PARTS, "all"))
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all figures there")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter calls")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    proofs: dict[str, Proof] = {}
    for part in PARTS if options.part == "all" else (options.part,):
        name = f"tests.prove.{part}"
        if importlib.util.find_spec(name) is None:
            _say(f"{part}: not built yet")
            continue
        began_s = time.monotonic()
        proofs[part] = importlib.import_module(name).prove(quick=options.quick)
        _say(f"{part} ({time.monotonic() - began_s:.0f} s)\n{table(proofs[part])}")
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(_report(proofs))) + b"\n")
    return 0 if all(one.met for proof in proofs.values() for one in proof.figures) else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _report(proofs: dict[str, Proof]) -> dict[str, object]:
    """`rows` are the bench's, where it ran; `figures` are everybody's."""
    details = {name: proof.details for name, proof in proofs.items()}
    return {
        "machine": {
            "cpus": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "rows": details.pop("bench", {}).get("rows", []),
        "figures": [figure for proof in proofs.values() for figure in proof.figures],
        "repeated": {name: proof.repeated for name, proof in proofs.items()},
        "details": details,
    }


if __name__ == "__main__":
    sys.exit(main())
