"""What the machine does beside us, and how fast it is. Owns the reading of /proc; changes nothing.

Linux says all of it; elsewhere a figure is None or 0.
"""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import msgspec

_CALIBRATION_STEPS = 1_500_000
_CALIBRATION_RUNS = 3
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class CoreTime(msgspec.Struct, frozen=True):
    """Seconds that one core, or the host where it is not known which, has spent since its start."""

    busy_s: float = 0.0
    """On anything but idling; stolen time is not in it."""
    stolen_s: float = 0.0


class ProcessTime(msgspec.Struct, frozen=True):
    """CPU seconds of this process with all its threads."""

    user_s: float
    system_s: float

    @property
    def all_s(self) -> float:
        """User and system."""
        return self.user_s + self.system_s


def core_time(core: int) -> CoreTime:
    """Of that core, from /proc/stat (proc(5))."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return CoreTime()
    for line in lines:
        name, _, rest = line.partition(" ")
        if name == f"cpu{core}":
            user, nice, system, _, _, irq, softirq, stolen, *_ = map(int, rest.split())
            return CoreTime((user + nice + system + irq + softirq) * _TICK_S, stolen * _TICK_S)
    return CoreTime()


def process_time() -> ProcessTime:
    """From getrusage(2)."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return ProcessTime(usage.ru_utime, usage.ru_stime)


def resident_mb() -> float:
    """Memory of this process that is in RAM now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * resource.getpagesize() / 1e6


def threads() -> int:
    """Threads of this process, those of C libraries included."""
    try:
        return len(list(Path("/proc/self/task").iterdir()))
    except OSError:
        return 0


def calibrate() -> float:
    """Milliseconds that a fixed loop of Python takes here and now; the best of three."""
    return min(_calibration_ms() for _ in range(_CALIBRATION_RUNS))


def _calibration_ms() -> float:
    began = time.perf_counter()
    total = 0
    for step in range(_CALIBRATION_STEPS):
        total += step & 7
    return (time.perf_counter() - began) * 1000


def machine() -> dict[str, str | int]:
    """What the figures were measured on and with."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version() + (" PGO" if _is_pgo_build() else " without PGO"),
        **{name: version(name) for name in ("phonebank", "aiortc", "aioice", "av", "pylibsrtp")},
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()


def _is_pgo_build() -> bool:
    import sysconfig  # noqa: PLC0415 - reads a large table that nothing else here needs

    return "enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS") or sys.version)
