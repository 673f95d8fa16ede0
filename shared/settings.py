"""Settings of every phonebank process, read once from the environment. Owns names and defaults.

Each field is the environment variable `PHONEBANK_<FIELD>` in capitals. A value of the wrong type
is a `CommandError` that names the variable. Secrets of plans (`PHONEBANK_SECRET_*`) are no
settings and are read by `shared.secrets` alone.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from shared.addresses import networks
from shared.errors import CommandError

PREFIX = "PHONEBANK_"


def _default_data_dir() -> str:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(base) / "phonebank")


def _default_worker_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Frozen settings, injected from each process's `main`."""

    redis_url: str | None = None
    """`redis://`, `rediss://` or `unix://` URL of the fleet; without it commands bring up their
    own.
    """
    storage_url: str | None = None
    """`file:///dir`, `s3://bucket/prefix` or `memory://`."""
    data_dir: str = msgspec.field(default_factory=_default_data_dir)
    """Clip cache, spool files and embedded fleets."""
    slots: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 20
    """Hard ceiling of calls that one media process holds."""
    worker_name: str = msgspec.field(default_factory=_default_worker_name)
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    """Port of `/metrics` and `/healthz` on `metrics_host`; 0 picks one, None serves none."""
    metrics_host: str = "127.0.0.1"
    lease_s: Annotated[float, msgspec.Meta(ge=1, le=600)] = 30.0
    """How long a silent worker keeps its calls; renewed six times as often."""
    drain_s: Annotated[float, msgspec.Meta(ge=0, le=7200)] = 240.0
    """How long a stopping worker waits for its calls before it hangs up and hands them back."""
    core: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """CPU that the media process is pinned to."""
    parent_fd: int | None = None
    """Read end of the parent's pipe; the process ends when it closes."""
    log_level: str = "info"
    log_json: bool | None = None
    """None: JSON unless stderr is a terminal."""
    allow_addresses: tuple[str, ...] = ()
    """Networks (CIDR) that endpoints may resolve to; empty: all but link-local, multicast,
    metadata.
    """

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the environment; raises `CommandError` naming the variable that is wrong."""
        raw: dict[str, object] = {}
        for field in cls.__struct_fields__:
            text = environ.get(PREFIX + field.upper())
            if text is None or text == "":
                continue
            raw[field] = _split(text) if field == "allow_addresses" else text
        try:
            settings = msgspec.convert(raw, cls, strict=False)
        except msgspec.ValidationError as error:
            raise CommandError(_named(str(error))) from None
        try:
            networks(settings.allow_addresses)
        except ValueError as error:
            raise CommandError(f"{PREFIX}ALLOW_ADDRESSES: {error}") from None
        return settings

    @property
    def data_path(self) -> Path:
        """`data_dir` as a path with `~` expanded."""
        return Path(self.data_dir).expanduser()


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _named(message: str) -> str:
    """Turn msgspec's `... - at `$.slots`` into a sentence that begins with the variable's name."""
    what, _, place = message.partition(" - at `$.")
    if not place:
        return message
    return f"{PREFIX}{place.rstrip('`').upper()}: {what}"
