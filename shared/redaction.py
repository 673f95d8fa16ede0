"""Takes secret values out of texts, in the forms in which an agent may echo them.

Owns the forms: as written, JSON-escaped (twice too), percent-encoded and base64-encoded at any
offset, and what follows an authorisation scheme. Refuses values under four characters: they are in
everything.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

MIN_CHARS = 4

_SCHEMES = {"bearer", "basic", "token", "apikey", "api-key", "digest", "negotiate"}


class Redactor:
    """Replaces secret values by `[NAME]`. `values` holds the values by name."""

    def __init__(self, values: Mapping[str, str]) -> None:
        forms: dict[str, str] = {}
        for name in sorted(values):
            for part in _parts(values[name]):
                for form in _forms(part):
                    if len(form) >= MIN_CHARS:
                        forms.setdefault(form, name)
        # Longest first: a form inside another form must not leave the rest of it standing.
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._names = forms
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def redact(self, text: str, *, cut: bool = False) -> str:
        """The text without any known form of a secret.

        `cut`: the text may have been shortened, so what begins a secret at its end goes too.
        """
        if self._pattern is None:
            return text
        text = self._pattern.sub(lambda match: f"[{self._names[match[0]]}]", text)
        return self._without_begun(text) if cut else text

    def _without_begun(self, text: str) -> str:
        longest, name = 0, ""
        for form, named in self._names.items():
            for length in range(min(len(form) - 1, len(text)), max(longest, MIN_CHARS - 1), -1):
                if text.endswith(form[:length]):
                    longest, name = length, named
                    break
        return f"{text[:-longest]}[{name}]" if longest else text


def _parts(value: str) -> Iterator[str]:
    """The value, and what in it is secret without the rest."""
    if len(value) < MIN_CHARS:
        return
    yield value
    bare = value.strip()
    yield bare
    yield " ".join(value.split())  # how texts of an agent are kept
    scheme, _, rest = bare.partition(" ")
    credentials = rest.strip() if scheme.lower() in _SCHEMES else bare
    if len(credentials) < MIN_CHARS:
        return
    yield credentials
    if scheme.lower() == "basic":
        try:
            yield base64.b64decode(credentials, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return


def _forms(part: str) -> Iterator[str]:
    if len(part) < MIN_CHARS:
        return
    texts = {part, html.escape(part), html.escape(part, quote=False)}
    texts |= {_json(text, ascii_only) for text in [part] for ascii_only in (True, False)}
    texts |= {_json(_json(part, ascii_only), ascii_only) for ascii_only in (True, False)}
    texts |= {text.replace("/", "\\/") for text in list(texts)}
    yield from texts
    for encoded in (quote(part, safe=""), quote(part), quote_plus(part), quote(part, safe="/:=+")):
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
    yield from _base64_forms(part.encode())


def _json(text: str, ascii_only: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Characters that the bytes give wherever they begin within a longer base64 text (RFC 4648)."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode()
        yield whole
        yield whole.rstrip("=")
        for shift in range(3):
            text = encode(b"\x00" * shift + raw).decode().rstrip("=")
            # The first characters mix with the bytes before, the last with those after.
            begin = (0, 2, 3)[shift]
            end = len(text) - (0 if (shift + len(raw)) % 3 == 0 else 1)
            inner = text[begin:end]
            if len(inner) >= 2 * MIN_CHARS or len(inner) >= len(whole) - MIN_CHARS:
                yield inner
