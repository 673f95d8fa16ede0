"""What the host keeps from the process, read from the kernel's own files."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.virtual_time import run_virtually
from worker.host import Host
from worker.media.clock import now_ns


def kernel(folder: Path, *, waited_ns: int, stolen: int, throttled_us: int, psi_us: int) -> None:
    (folder / "thread-self").mkdir(exist_ok=True)
    (folder / "pressure").mkdir(exist_ok=True)
    (folder / "thread-self" / "schedstat").write_text(f"5 {waited_ns} 2\n")
    (folder / "stat").write_text(f"cpu  100 0 0 {400 - stolen} 0 0 0 {stolen} 7 7\ncpu0 1\n")
    (folder / "cpu.stat").write_text(f"usage_usec 1\nthrottled_usec {throttled_us}\n")
    text = f"some avg10=1.00 avg60=0.00 avg300=0.00 total={psi_us}\nfull total=9\n"
    (folder / "pressure" / "cpu").write_text(text)


def test_pressure_is_what_the_counters_grew_by(tmp_path: Path) -> None:
    """Shares of the call's time: a second of ten, and so on."""

    async def main() -> None:
        host = Host(tmp_path, tmp_path)
        kernel(tmp_path, waited_ns=0, stolen=0, throttled_us=0, psi_us=0)
        host.sample()
        began_ns = now_ns()
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(10.0, lambda: None)
        await _pass(10.0)
        kernel(tmp_path, waited_ns=10**9, stolen=0, throttled_us=500_000, psi_us=2_000_000)
        (tmp_path / "stat").write_text("cpu  100 0 0 400 0 0 0 100 7 7\n")
        found = host.pressure_since(began_ns)
        assert found is not None
        assert found.waited_percent == 10.0
        assert found.stolen_percent == 100.0
        assert found.throttled_percent == 5.0
        assert found.cpu_pressure_percent == 20.0

    run_virtually(main())


async def _pass(seconds: float) -> None:
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, done.set)
    await done.wait()


def test_a_host_without_the_counters_says_nothing(tmp_path: Path) -> None:
    """Neither does one that was not sampled before the call began."""

    async def main() -> None:
        host = Host(tmp_path, tmp_path)
        assert host.pressure_since(now_ns()) is None
        host.sample()
        await _pass(1.0)
        found = host.pressure_since(now_ns())
        assert found is not None
        assert found.waited_percent is None
        assert found.stolen_percent is None

    run_virtually(main())


def test_this_host_can_be_read() -> None:
    """The real files, at a cost that a media loop does not feel."""

    async def main() -> None:
        host = Host()
        host.sample()
        await _pass(0.05)
        assert host.pressure_since(now_ns()) is not None

    asyncio.run(main())
