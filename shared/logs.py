"""Structured logs on stderr: people's lines on a terminal, JSON elsewhere. Owns the one chain.

Event names are short constants in snake case; a call's ids are bound once by `bound_call`. Never
text of a conversation, never a header: what may hold a secret does not belong into a log.
"""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager
from typing import Any

import structlog

from shared.settings import Settings

NOISY = ("aiortc", "aioice", "arq", "httpx", "httpcore", "asyncio")


def set_up_logs(settings: Settings, service: str) -> None:
    """Configure structlog and the standard library's logging once per process."""
    as_json = settings.log_json if settings.log_json is not None else not sys.stderr.isatty()
    shared_chain: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = structlog.processors.JSONRenderer() if as_json else _people()
    level = logging.getLevelNamesMapping().get(settings.log_level.upper(), logging.INFO)
    structlog.configure(
        processors=[*shared_chain, structlog.processors.format_exc_info, renderer]
        if as_json
        else [*shared_chain, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared_chain,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)


def _people() -> structlog.dev.ConsoleRenderer:
    """A renderer without rich traces: those print locals, and a local may be a secret."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def bound_call(run: str, index: int, attempt: int) -> AbstractContextManager[Any]:
    """Bind a call's ids to every log line inside the block, and inside tasks started there."""
    return structlog.contextvars.bound_contextvars(run=run, call=index, attempt=attempt)
