"""Ctrl-C and SIGTERM of a command. Owns the two stages; refuses to know what is being stopped.

The first one cancels the command's task, or, inside `gently`, only sets an event so that a run can
be cancelled in order. The second ends the process at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from phonebank.exit_codes import ExitCode

Answer = TypeVar("Answer")


class Interrupted(Exception):  # noqa: N818 - the user's wish, not an error
    """The user ended the command."""


class Interrupt:
    """The user's wish to end the command."""

    def __init__(self) -> None:
        self.wished = asyncio.Event()
        self.at_once: list[Callable[[], None]] = []
        """Called before the process ends at the second Ctrl-C."""
        self._is_gentle = False
        self._task = asyncio.current_task()

    @contextlib.contextmanager
    def gently(self) -> Iterator[None]:
        """Inside the block the first Ctrl-C only sets `wished`."""
        self._is_gentle = True
        try:
            yield
        finally:
            self._is_gentle = False

    def signalled(self) -> None:
        """Take one Ctrl-C."""
        if self.wished.is_set():
            for act in self.at_once:
                act()
            os._exit(ExitCode.CANCELLED)
        self.wished.set()
        if not self._is_gentle and self._task is not None:
            self._task.cancel()


def run_interruptible(body: Callable[[Interrupt], Coroutine[Any, Any, Answer]]) -> Answer:
    """Run `body` in a new event loop; raises `Interrupted` when the user ended it."""

    async def with_signals() -> Answer:
        interrupt = Interrupt()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt.signalled)
        try:
            return await body(interrupt)
        except asyncio.CancelledError:
            if interrupt.wished.is_set():
                raise Interrupted from None
            raise

    return asyncio.run(with_signals())


def show_cursor() -> None:
    """Give a terminal its cursor back, which a live display may have hidden."""
    if sys.stderr.isatty():
        sys.stderr.write("\x1b[?25h\n")
        sys.stderr.flush()
