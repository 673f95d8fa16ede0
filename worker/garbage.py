"""Garbage collection in a media process: when it may stop the loop. Owns its settings."""

from __future__ import annotations

import gc


def spare_the_loop() -> None:
    """Keep what start-up made out of garbage collection, and make full collections rare.

    A full collection over hundreds of peer connections stops the loop for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
