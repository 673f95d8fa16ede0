"""`python -m phonebank.guard FD -- COMMAND...`: runs a foreign program that dies with our parent.

Owns one child that knows nothing of the pipe at FD (Valkey, the example agent). When the pipe
closes, or on SIGTERM, the child gets SIGTERM and, after a grace, SIGKILL. Refuses to restart it:
its exit code is ours. On Linux the kernel kills the child even if this guard is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys

GRACE_S = 5.0
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> int:
    """Run the command after `--` until it ends or the pipe closes; returns its exit code."""
    parent_fd, separator, *command = arguments
    if separator != "--" or not command:
        sys.stderr.write("usage: python -m phonebank.guard FD -- COMMAND...\n")
        return 2
    wake_fd = _wake_on_signals()
    child = subprocess.Popen(command, preexec_fn=_die_with_guard)  # noqa: PLW1509, S603 - one thread; ours
    _wait_for_reason_to_stop(child, int(parent_fd), wake_fd)
    return _end(child)


def _wake_on_signals() -> int:
    """A pipe end that becomes readable when the child changed or somebody wants us to stop."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return read_fd


def _die_with_guard() -> None:
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _wait_for_reason_to_stop(child: subprocess.Popen[bytes], parent_fd: int, wake_fd: int) -> None:
    while child.poll() is None:
        readable, _, _ = select.select([parent_fd, wake_fd], [], [])
        if parent_fd in readable and not os.read(parent_fd, 1024):
            return
        if wake_fd in readable and set(os.read(wake_fd, 1024)) & {signal.SIGTERM, signal.SIGINT}:
            return


def _end(child: subprocess.Popen[bytes]) -> int:
    if child.poll() is None:
        child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        return _as_exit_code(child.wait(GRACE_S))
    child.kill()
    return _as_exit_code(child.wait())


def _as_exit_code(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
