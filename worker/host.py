"""What the host keeps from this process: waiting, stolen and throttled time. Owns the counters.

Refuses to judge (`worker.measure.validity`). Linux counters only, read in the loop's own thread in
some 0.1 ms; a file that is not there is a figure that is None.
"""

from __future__ import annotations

import contextlib
from collections import deque
from pathlib import Path

import msgspec

from shared.result import HostPressure
from worker.media.clock import now_ns

KEPT = 4000
"""Seconds of samples: longer than the longest call."""
_CPU_MAX_FIELDS = 8
"""user nice system idle iowait irq softirq steal (proc(5)); guest time is inside user."""


class HostSample(msgspec.Struct, frozen=True, gc=False):
    """Counters that only grow. None: not there."""

    at_ns: int
    waited_ns: int | None
    stolen_ticks: int | None
    all_ticks: int | None
    throttled_us: int | None
    pressure_us: int | None


class Host:
    """Samples of one process; `proc` and `cgroup` are other folders in tests."""

    def __init__(self, proc: Path = Path("/proc"), cgroup: Path | None = None) -> None:
        self._waited = proc / "thread-self" / "schedstat"
        self._stat = proc / "stat"
        self._pressure = proc / "pressure" / "cpu"
        self._throttled = (cgroup or _own_cgroup(proc)) / "cpu.stat"
        self._samples: deque[HostSample] = deque(maxlen=KEPT)

    def sample(self) -> None:
        """Look at the counters; once a second, in the loop's thread."""
        self._samples.append(self.read())

    def read(self) -> HostSample:
        """The counters now."""
        stolen, ticks = _stolen(_text(self._stat))
        return HostSample(
            at_ns=now_ns(),
            waited_ns=_number(_text(self._waited).split(), 1),
            stolen_ticks=stolen,
            all_ticks=ticks,
            throttled_us=_named(_text(self._throttled), "throttled_usec"),
            pressure_us=_psi(_text(self._pressure)),
        )

    def pressure_since(self, began_ns: int) -> HostPressure | None:
        """From the last sample before `began_ns` to now; None without such a sample."""
        before = next((s for s in reversed(self._samples) if s.at_ns <= began_ns), None)
        return None if before is None else _between(before, self.read())


def _between(before: HostSample, after: HostSample) -> HostPressure | None:
    elapsed_ns = after.at_ns - before.at_ns
    if elapsed_ns <= 0:
        return None
    return HostPressure(
        waited_percent=_share(before.waited_ns, after.waited_ns, elapsed_ns),
        stolen_percent=_share(
            before.stolen_ticks,
            after.stolen_ticks,
            (after.all_ticks or 0) - (before.all_ticks or 0),
        ),
        throttled_percent=_share(before.throttled_us, after.throttled_us, elapsed_ns / 1000),
        cpu_pressure_percent=_share(before.pressure_us, after.pressure_us, elapsed_ns / 1000),
    )


def _share(before: int | None, after: int | None, whole: float) -> float | None:
    if before is None or after is None or whole <= 0:
        return None
    return round(100 * (after - before) / whole, 2)


def _stolen(stat: str) -> tuple[int | None, int | None]:
    fields = stat.partition("\n")[0].split()[1 : _CPU_MAX_FIELDS + 1]
    if len(fields) < _CPU_MAX_FIELDS:
        return None, None
    ticks = [int(field) for field in fields]
    return ticks[-1], sum(ticks)


def _psi(text: str) -> int | None:
    """`some avg10=… avg60=… avg300=… total=<µs>`."""
    for line in text.splitlines():
        if line.startswith("some "):
            return int(line.rpartition("total=")[2])
    return None


def _named(text: str, name: str) -> int | None:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return None


def _number(fields: list[str], at: int) -> int | None:
    return int(fields[at]) if len(fields) > at else None


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""


def _own_cgroup(proc: Path) -> Path:
    """Our folder of cgroup v2 (`0::/path`); in a container that is the root itself."""
    inside = _text(proc / "self" / "cgroup").rpartition("0::")[2].strip().lstrip("/")
    own = Path("/sys/fs/cgroup") / inside
    return own if own.is_dir() else Path("/sys/fs/cgroup")
