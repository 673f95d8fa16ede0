"""espeak-ng in this process, through ctypes. Owns the library's one global state; knows no effect.

Only the studio may import this: the library is GPL, holds global state and blocks while it speaks.
"""

from __future__ import annotations

import _ctypes
import ctypes
import re
from pathlib import Path

import numpy as np

from worker.media.loudness import Pcm
from worker.speech.voices import Utterance, VoiceError

WORDS_PER_MIN = 160
OWN_PITCH = 50
_SYNCHRONOUS = 2
_NO_EXIT = 0x8000
_UTF8 = 1
_RATE, _VOLUME, _PITCH, _RANGE, _GAP = 1, 2, 3, 4, 7
_DEFAULTS = {_VOLUME: 100, _RANGE: 50, _GAP: 0}
_OK = 0
_SEED = 1
_NAME = re.compile(r"[A-Za-z0-9_.-]+(\+[A-Za-z0-9_.-]+)?")

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class _Voice(ctypes.Structure):
    """`espeak_VOICE` of speak_lib.h, as far as it is read here."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
    )


class Espeak:
    """One per process. Not for threads.

    Each utterance gets a library freshly loaded (9 ms): its wave generator, echo and random numbers
    carry state from one utterance into the next, which `espeak_Terminate` does not clear, and a
    clip must not depend on what was said before it.
    """

    def __init__(self) -> None:
        self._data = Path()
        self._identifiers: dict[str, str] = {}
        self._parts: list[bytes] = []
        # The library keeps the pointer: the callback must live as long as this object.
        self._callback = _Callback(self._take)

    def speak(self, text: str, voice: str, speed: float = 1.0, pitch: float = 1.0) -> Utterance:
        """See `worker.speech.voices.Voices`."""
        library = self._loaded()
        try:
            rate_hz = self._start(library)
            self._choose(library, voice)
            _set_knobs(library, speed, pitch)
            pcm = self._synthesise(library, text)
            library.espeak_Terminate()
        finally:
            _ctypes.dlclose(library._handle)  # noqa: SLF001 - ctypes offers no other way to unload
        return Utterance(pcm, rate_hz)

    def _loaded(self) -> ctypes.CDLL:
        try:
            import espeakng_loader  # noqa: PLC0415 - an optional extra
        except ImportError as error:
            raise VoiceError("espeakng-loader is not installed (extra `local`)") from error
        self._data = Path(espeakng_loader.get_data_path())
        return _prototyped(ctypes.CDLL(espeakng_loader.get_library_path()))

    def _start(self, library: ctypes.CDLL) -> int:
        path = str(self._data.parent).encode()
        rate_hz = int(library.espeak_Initialize(_SYNCHRONOUS, 0, path, _NO_EXIT))
        if rate_hz <= 0:
            raise VoiceError(f"espeak-ng did not start (code {rate_hz})")
        library.espeak_SetSynthCallback(self._callback)
        # Starting seeds flutter and breath from the time of day.
        library.espeak_ng_SetRandSeed(_SEED)
        return rate_hz

    def _choose(self, library: ctypes.CDLL, voice: str) -> None:
        if not _NAME.fullmatch(voice):
            raise VoiceError(f"{voice!r} is not the name of an espeak-ng voice")
        name, _, variant = voice.partition("+")
        identifier = self._voices(library).get(name.lower())
        if identifier is None:
            raise VoiceError(f"espeak-ng has no voice or language {name!r}")
        # The library ignores a variant that it does not know.
        if variant and not (self._data / "voices" / "!v" / variant).is_file():
            raise VoiceError(f"espeak-ng has no voice variant {variant!r}")
        chosen = f"{identifier}+{variant}" if variant else identifier
        if library.espeak_SetVoiceByName(chosen.encode()) != _OK:
            raise VoiceError(f"espeak-ng cannot use the voice {voice!r}")

    def _voices(self, library: ctypes.CDLL) -> dict[str, str]:
        """Identifier (`gmw/en-US`) by file name (`en-us`) and by language (`en-gb` is `gmw/en`).

        The library itself finds voices by file name alone, so that `en-gb` would be unknown to it.
        """
        if self._identifiers:
            return self._identifiers
        listed = library.espeak_ListVoices(None)
        by_language: dict[str, str] = {}
        position = 0
        while listed[position]:
            voice = listed[position].contents
            position += 1
            identifier = voice.identifier.decode()
            self._identifiers[identifier.rpartition("/")[2].lower()] = identifier
            # A priority byte, then the name's first language, ended by a zero byte.
            language = ctypes.string_at(voice.languages)[1:].decode().lower()
            by_language.setdefault(language, identifier)
        self._identifiers = by_language | self._identifiers
        return self._identifiers

    def _synthesise(self, library: ctypes.CDLL, text: str) -> Pcm:
        self._parts = []
        encoded = text.replace("\0", " ").encode()
        code = library.espeak_Synth(encoded, len(encoded) + 1, 0, 0, 0, _UTF8, None, None)
        if code != _OK:
            raise VoiceError(f"espeak-ng failed (code {code})")
        library.espeak_Synchronize()
        samples = np.frombuffer(b"".join(self._parts), np.int16)
        return samples.astype(np.float32) / 32768.0

    def _take(self, samples: int | None, count: int, _events: int | None) -> int:
        if samples is not None and count > 0:
            self._parts.append(ctypes.string_at(samples, count * 2))
        return 0


def _prototyped(library: ctypes.CDLL) -> ctypes.CDLL:
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint,
        ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
    library.espeak_ListVoices.argtypes = [ctypes.c_void_p]
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    return library


def _set_knobs(library: ctypes.CDLL, speed: float, pitch: float) -> None:
    wanted = {
        **_DEFAULTS,
        _RATE: round(WORDS_PER_MIN * speed),
        _PITCH: min(99, max(0, round(OWN_PITCH * pitch))),
    }
    for parameter, value in wanted.items():
        library.espeak_SetParameter(parameter, value, 0)
