"""What children inherit of the command's environment. Owns the list; everything else stays behind.

A plan must not be able to reach what the user's shell happens to hold.
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.secrets import PREFIX, embedded_environ

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


def environ_for_children(
    environ: Mapping[str, str], *, secrets: set[str] | None, with_aws: bool
) -> dict[str, str]:
    """What children inherit: an ordinary shell's variables, phonebank's settings, named secrets.

    `secrets` are the names that a plan uses (`BOT_TOKEN` for `PHONEBANK_SECRET_BOT_TOKEN`), None
    for all. Everything else of the caller's environment stays out of reach.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if _inherited(name, all_secrets=secrets is None, with_aws=with_aws)
    }
    return kept | embedded_environ(secrets or (), environ)


def _inherited(name: str, *, all_secrets: bool, with_aws: bool) -> bool:
    if name.startswith(PREFIX):
        return all_secrets
    if name.startswith("AWS_"):
        return with_aws
    return name in ORDINARY or name.lower() in PROXIES or name.startswith(PREFIXES)
