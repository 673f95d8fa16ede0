"""Which CPU does what: the media process keeps one core to itself. Owns affinity and priority.

A second core makes the media loop and its kernel work hand caches and the GIL back and forth, and a
neighbour on its own core makes its packets late. What the host does not allow is left as it is: the
validity of each call says what came of it.
"""

from __future__ import annotations

import contextlib
import os

MEDIA_PRIORITY = -10
"""Nice value asked for; given to root and to processes with CAP_SYS_NICE."""


def keep_to(core: int | None) -> set[int]:
    """Keep this process to `core`, ahead of others; returns the other cores it might have used.

    None keeps it nowhere and returns an empty set: nobody needs to stay away.
    """
    if core is None or not hasattr(os, "sched_setaffinity"):
        return set()
    allowed = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {core})
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, MEDIA_PRIORITY)
    return allowed - {core}


def stay_on(cores: set[int]) -> None:
    """Keep this process to `cores`; an empty set leaves it as it is."""
    if cores and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)
