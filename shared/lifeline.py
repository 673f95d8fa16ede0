"""The pipe that ties a child process to its parent. Owns the watching; knows nothing of the work.

The parent keeps the write end and never writes. When it dies, however it dies, the kernel closes
the pipe, the child reads end-of-file and ends: no process outlives the command that started it.
"""

from __future__ import annotations

import os
import signal
import threading

GRACE_S = 5.0


def watch_parent(parent_fd: int | None, *, grace_s: float = GRACE_S) -> None:
    """End this process when the pipe at `parent_fd` closes; None watches nothing.

    First a SIGTERM to ourselves, so that the process can stop in order; after `grace_s` the process
    is ended without asking, because its parent is gone and nobody else will.
    """
    if parent_fd is None:
        return
    threading.Thread(
        target=_end_with_parent, args=(parent_fd, grace_s), name="lifeline", daemon=True
    ).start()


def _end_with_parent(parent_fd: int, grace_s: float) -> None:
    while os.read(parent_fd, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(grace_s)
    os._exit(1)
