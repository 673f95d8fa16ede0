"""The worker's one clock. Owns nothing but the reading; refuses wall time.

Everything inside the worker reads the event loop's own time, so a loop with a virtual clock makes
the whole call virtual.
"""

from __future__ import annotations

import asyncio


def now_ns() -> int:
    """Nanoseconds of the running loop's monotonic clock; raises RuntimeError outside a loop."""
    return int(asyncio.get_running_loop().time() * 1e9)
