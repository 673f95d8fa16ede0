"""The product's own calls, as a worker holds them, with a bench around them instead of a fleet.

Everything between `Call.run` and the socket is the product. Stand-ins are outside of the window:
clips are cut from the bench's speech instead of being synthesised, and what the studio, another
process on another core, would do after hang-up is left out. Owns those stand-ins.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from shared.agent import Agent, SmallWebRTC
from shared.call import EndedReason
from shared.errors import FleetError
from shared.expansion import call_of_index
from shared.http import Http
from shared.persona import Persona
from shared.plan import Limits, RunPlan
from shared.result import Measures, Recording
from shared.scenario import SayExactly, Scenario, ScriptStep, Silence
from shared.state.call_key import CallKey
from worker.bench.speech import Speech
from worker.call import SPOOL, Call, Equipment
from worker.media.clip import Clip
from worker.media.clips import Clips
from worker.media.listener import Edge, Listener
from worker.media.sound import Bed, SoundRequest
from worker.media.spool import read_spool
from worker.media.ticker import Ticker
from worker.studio_jobs import FinishCall, Finished
from worker.studio_port import Studio
from worker.transports.transport import ReceivedPacket

LINES = 90
"""With the silences between them they last longer than any bench."""
TEXTS = 8
CLIP_PACKETS = 150
BED_PACKETS = 50
RUN = "bench"


class DeafListener(Listener):
    """Hears nothing, so that nothing is decoded while a call runs."""

    def hear(self, _packet: ReceivedPacket) -> Edge | None:
        """Takes the packet for silence."""
        return None

    def tick(self, _now_ns: int) -> Edge | None:
        """Nothing changes."""
        return None


class _CutClips:
    """Makes clips by cutting speech; a `worker.media.clips.ClipMaker`."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech

    async def make_clip(
        self, request: SoundRequest, _assets: Mapping[str, Path] | None = None
    ) -> Clip:
        """The same cut for the same request."""
        begin = int(request.hash[:8], 16) % len(self._speech.packets)
        packets = BED_PACKETS if isinstance(request, Bed) else CLIP_PACKETS
        return self._speech.clip(request.hash, begin, packets)


class _ClosedStudio(Studio):
    """Studies nothing: the bench ends where the studio would begin."""

    async def finish_call(self, _job: FinishCall) -> Finished:
        """An empty recording and no measures."""
        recording = Recording(key="none", format="none", duration_ms=0.0, bytes=0, sha256="")
        return Finished(recording=recording, turns=[], measures=Measures(), detector="none")


async def _no_asset(_reference: str) -> Path:
    raise FleetError("a bench plays no sound files")


class PacketCallers:
    """Implements `worker.bench.callers.Callers`."""

    def __init__(self, offer_url: str, callers: int, equipment: Equipment) -> None:
        self._plan = bench_plan(offer_url, callers)
        self._equipment = equipment
        self._calls: dict[CallKey, Call] = {}

    async def hold(self, index: int) -> bool:
        """See `Callers.hold`."""
        key = CallKey(RUN, index, 1)
        call = Call(self._plan, call_of_index(self._plan, index), key, self._equipment)
        self._calls[key] = call
        finished = await call.run([])
        return finished.result.ended_reason is EndedReason.CALLER_HUNG_UP

    def hang_up(self) -> None:
        """See `Callers.hang_up`."""
        for call in self._calls.values():
            call.hang_up(EndedReason.CALLER_HUNG_UP, "the bench is over")

    def received(self, from_ns: int, until_ns: int) -> int:
        """See `Callers.received`; what the spool files hold."""
        total = 0
        for key in self._calls:
            spool = read_spool(self._equipment.folder / str(key) / SPOOL)
            total += sum(from_ns <= packet.arrived_ns < until_ns for packet in spool.received)
        return total


def packet_equipment(
    speech: Speech, folder: Path, ticker: Ticker, http: Http, *, listen: bool
) -> Equipment:
    """What a media process gives its calls, with the bench's stand-ins."""
    studio = _ClosedStudio()
    clips = Clips(_CutClips(speech), folder / "clips", _no_asset)
    equipment = Equipment(ticker, clips, studio, http, {}, folder, "bench")
    if listen:
        return equipment
    return msgspec.structs.replace(equipment, listener=DeafListener)


def bench_plan(offer_url: str, callers: int) -> RunPlan:
    """One agent, one caller that talks for as long as it is let."""
    script: list[ScriptStep] = []
    for line in range(LINES):
        script += [SayExactly(text=f"line {line % TEXTS}"), Silence(duration_s=1.0)]
    return RunPlan(
        version=1,
        name=RUN,
        agents=[Agent(name="load", smallwebrtc=SmallWebRTC(offer_url=offer_url))],
        scenarios=[Scenario(name="talk", script=script)],
        personas=[Persona(name="caller", idle_prompts=[])],
        repeat=callers,
        limits=Limits(call_s=3600.0, connect_s=60.0, first_audio_s=300.0),
    )
