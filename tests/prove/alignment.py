"""Whether a recording's two channels lie on one clock: clicks, their echoes, and where they stand.

The caller plays clicks, the ruler echoes each after a known delay. The file that a user gets is
decoded, and every click looked up in it: left where the ruler heard it, right where the ruler let
its echo go, and both as far apart as the ruler waited. What a bad network adds after that is
recorded beside it (`wire`), and nobody's fault.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
import wave
from pathlib import Path

import av
import msgspec
import numpy as np
from numpy.typing import NDArray

from shared.persona import Persona
from shared.scenario import HangUp, Play, ScriptStep, Silence, WaitForAgent
from tests.prove.exchange import Held, Order, exchange
from tests.prove.figures import Figure, Proof
from tests.ruler.orders import Orders
from worker.call import SPOOL
from worker.media.spool import SentPacket, read_spool

PART = "alignment"
RATE_HZ = 48_000
MS = 48
AUDIBLE = 10 ** (-45 / 20)
LIMIT_MS = 20.0
NEAR_MS = 150.0
ECHO_MS = 500.0
CLICKS = 3
CLICKS_NEEDED = 2
OWN_LATE_MS = 10.0
"""A click whose own packet left later than this, because the machine stood still, proves nothing:
in the recording it stands on the caller's beat, where any playout buffer would have put it.
"""
APART_S = 1.5
PERSONA = Persona(name="clicks", yield_after_ms=None, idle_after_s=120)
NETWORKS: dict[str, dict[str, object]] = {
    "clean": {},
    "2 % loss, 30 ms jitter": {"loss": 0.02, "jitter_ms": 30.0},
    "timestamp gaps": {"stream": "gaps"},
    "bursts after pauses": {"stream": "bursts"},
}


class Click(msgspec.Struct, frozen=True, kw_only=True):
    """One click and its echo; errors in ms, infinite where it was not found."""

    at_ms: float
    """When the caller's click reached the ruler."""
    left: float
    right: float
    """Against the moment at which the ruler let the echo go."""
    apart: float
    """How far the distance between the two is from the true one."""
    wire: float
    """As `right`, but against the moment at which the echo's first sound came out of the network;
    with packets lost that may be a later one.
    """


def prove(*, quick: bool) -> Proof:
    """A recording of 3 minutes for each network, all at a time; quick: of half a minute."""
    with tempfile.TemporaryDirectory(prefix="phonebank-clicks-") as folder:
        clip = Path(folder) / "clicks.wav"
        write_clicks(clip)
        return asyncio.run(_prove(clip, 20.0 if quick else 165.0))


async def _prove(clip: Path, silence_s: float) -> Proof:
    figures: list[Figure] = []
    details: dict[str, object] = {}
    async with exchange() as line:
        script: list[ScriptStep] = [
            WaitForAgent(),
            Play(clip=line.asset(clip)),
            Silence(duration_s=silence_s),
            Play(clip=line.asset(clip)),
            Silence(duration_s=2.0),
            HangUp(),
        ]
        wanted = [
            Order(orders=_orders(name, network), script=script, persona=PERSONA, call_s=240.0)
            for name, network in NETWORKS.items()
        ]
        held, repeated, why = await line.hold_valid(wanted)
        for name in NETWORKS:
            calls = [call for call in held if call.orders.name.startswith(f"{name}/")]
            clicks = clicks_of(calls[0]) if calls else []
            figures += _figures(name, clicks)
            details[name] = {"clicks": clicks}
            late = max(0, 2 * CLICKS - len(clicks))
            if late:
                why.append(f"{name}: {late} clicks left out, our own packet was late")
    return Proof(figures=figures, repeated=repeated, notes=why, details=details)


def write_clicks(path: Path) -> None:
    """Three clicks of 30 ms, 1.5 s apart, half a second of silence around them."""
    line = np.zeros(int((CLICKS - 1) * APART_S * RATE_HZ) + RATE_HZ, np.float32)
    t = np.arange(30 * MS) / RATE_HZ
    for number in range(CLICKS):
        at = RATE_HZ // 2 + int(number * APART_S * RATE_HZ)
        line[at : at + len(t)] = 0.3 * np.sign(np.sin(2 * np.pi * 1000 * t))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((line * 32767).astype("<i2").tobytes())


def clicks_of(held: Held) -> list[Click]:
    """Every click of a call as its recording has it."""
    assert held.result.recording is not None
    left, right = heard_in(held.folder / Path(held.result.recording.key).name)
    echoes = held.entry.said[1:]  # the first is the greeting
    clicks = []
    sent = read_spool(held.folder / SPOOL).sent
    for number, stretch in enumerate(held.entry.heard):
        at_ms = (stretch.start_ns - held.connected_ns) / 1e6
        if _late_ms(sent, stretch.start_ns) > OWN_LATE_MS:
            continue
        in_left = _onset_near(left, at_ms)
        echo = echoes[number] if number < len(echoes) else None
        if echo is None or echo.wire_start_ns is None:
            clicks.append(_missing(at_ms))
            continue
        left_ms = (echo.start_ns - held.connected_ns) / 1e6
        passed_ms = (echo.wire_start_ns - held.connected_ns) / 1e6
        in_right = _onset_near(right, left_ms)
        clicks.append(
            Click(
                at_ms=at_ms,
                left=in_left - at_ms,
                right=in_right - left_ms,
                apart=(in_right - in_left) - (left_ms - at_ms),
                wire=in_right - passed_ms,
            )
        )
    lost = 2 * CLICKS - len(held.entry.heard)
    return clicks + [_missing(held.result.duration_ms)] * lost


def _late_ms(sent: list[SentPacket], reached_ns: int) -> float:
    """How late the caller's packet left that reached the ruler just before."""
    before = [packet for packet in sent if packet.sent_ns <= reached_ns]
    return (before[-1].sent_ns - before[-1].due_ns) / 1e6 if before else 0.0


def heard_in(path: Path) -> NDArray[np.float32]:
    """Both channels at 48 kHz, 1.0 = full scale, as any player decodes them."""
    parts = []
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE_HZ)
        for frame in container.decode(audio=0):
            parts += [part.to_ndarray() for part in resampler.resample(frame)]
        parts += [part.to_ndarray() for part in resampler.resample(None)]
    both: NDArray[np.float32] = np.concatenate(parts, axis=1)
    return both


def _orders(name: str, network: dict[str, object]) -> Orders:
    orders = Orders(name=f"{name}/clicks", echoes_after_ms=ECHO_MS, lines=("greeting",), seed=11)
    return msgspec.convert(msgspec.to_builtins(orders) | network, Orders)


def _missing(at_ms: float) -> Click:
    return Click(at_ms=at_ms, left=math.inf, right=math.inf, apart=math.inf, wire=math.inf)


def _onset_near(channel: NDArray[np.float32], at_ms: float) -> float:
    """The first audible millisecond within 150 ms of `at_ms`; infinite where there is none."""
    begin = max(0, int(at_ms - NEAR_MS))
    stretch = channel[begin * MS : int(at_ms + NEAR_MS) * MS]
    whole = stretch[: len(stretch) // MS * MS].reshape(-1, MS)
    audible = np.flatnonzero(np.sqrt(np.square(whole).mean(axis=1)) > AUDIBLE)
    return float(begin + audible[0]) if len(audible) else math.inf


def _figures(name: str, clicks: list[Click]) -> list[Figure]:
    middle_ms = (clicks[0].at_ms + clicks[-1].at_ms) / 2 if clicks else 0.0
    at_start = [click for click in clicks if click.at_ms < middle_ms]
    at_end = [click for click in clicks if click.at_ms >= middle_ms]
    rows = []
    for place, some in (("start", at_start), ("end", at_end)):
        for what in ("left", "right", "apart"):
            errors = [abs(getattr(click, what)) for click in some]
            worst = max(errors, default=math.inf)
            rows.append(
                Figure(
                    part=PART,
                    name=f"{name}: {what}, worst error at the {place}",
                    value=round(worst, 1) if math.isfinite(worst) else None,
                    unit="ms",
                    target=f"<= {LIMIT_MS:g}",
                    met=worst <= LIMIT_MS and len(some) >= CLICKS_NEEDED,
                    n=len(some),
                )
            )
    return rows
