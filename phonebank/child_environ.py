"""What children inherit of the command's environment. Owns the list; everything else stays behind.

A plan must not be able to reach what the user's shell happens to hold.
"""

from __future__ import annotations

from collections.abc import Mapping

ORDINARY = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "VIRTUAL_ENV",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    }
)
PROXIES = frozenset({"http_proxy", "https_proxy", "no_proxy", "all_proxy"})
PREFIXES = ("PHONEBANK_", "LC_", "PYTHON", "XDG_")
SECRET_PREFIX = "PHONEBANK_SECRET_"  # noqa: S105 - a variable's name


def environ_for_children(
    environ: Mapping[str, str], *, secrets: set[str] | None, with_aws: bool
) -> dict[str, str]:
    """What children inherit: an ordinary shell's variables, phonebank's settings, named secrets.

    `secrets` are the names that a plan uses (`BOT_TOKEN` for `PHONEBANK_SECRET_BOT_TOKEN`), None
    for all. Everything else of the caller's environment stays out of reach.
    """
    return {
        name: value
        for name, value in environ.items()
        if _inherited(name, secrets=secrets, with_aws=with_aws)
    }


def _inherited(name: str, *, secrets: set[str] | None, with_aws: bool) -> bool:
    if name.startswith(SECRET_PREFIX):
        return secrets is None or name.removeprefix(SECRET_PREFIX) in secrets
    if name.startswith("AWS_"):
        return with_aws
    return name in ORDINARY or name.lower() in PROXIES or name.startswith(PREFIXES)
