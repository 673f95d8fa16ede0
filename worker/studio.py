"""The studio: a process for CPU work off the audio loop. Owns the order of jobs; knows no call.

    python -m worker.studio

Jobs come in on stdin and answers go out on stdout (`worker.studio_jobs`), one job at a time. Clips
go before finished calls: a caller waits for its clips, nobody waits for a recording. The process
ends when stdin closes, and Ctrl-C is its parent's to handle.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import msgspec

from shared.result import Recording
from worker.cores import stay_on
from worker.measure.measure import measure_call
from worker.media.recording import write_recording
from worker.media.rendering import Renderer, RenderingError
from worker.media.spool import read_spool
from worker.media.timeline import Timeline
from worker.speech.espeak import Espeak
from worker.studio_jobs import (
    LENGTH_BYTES,
    MAX_MESSAGE_BYTES,
    Answer,
    Answered,
    Asked,
    Failed,
    FinishCall,
    Finished,
    Job,
    Made,
    MakeClip,
)

NICENESS = 10


Waiting = queue.PriorityQueue[tuple[int, int, Job | None]]


class Studio:
    """Does jobs."""

    def __init__(self) -> None:
        self._renderer: Renderer | None = None

    def do(self, job: Job) -> Answer:
        """The job's answer; whatever goes wrong inside is an answer too."""
        try:
            return self._make(job) if isinstance(job, MakeClip) else finish(job)
        except RenderingError as error:
            message = str(error)
        except OSError as error:
            tag = type(job).__struct_config__.tag
            return Failed(message=f"{type(error).__name__}: {error}", job=str(tag), disk=True)
        except Exception as error:  # noqa: BLE001 - the call boundary: one job ends, not all
            message = f"{type(error).__name__}: {error}"
        tag = type(job).__struct_config__.tag
        return Failed(message=message, job=str(tag))

    def _make(self, job: MakeClip) -> Made:
        if self._renderer is None:
            self._renderer = Renderer(Espeak())
        assets = {name: Path(path) for name, path in job.assets.items()}
        return Made(clip=self._renderer.render(job.request, assets))


def finish(job: FinishCall) -> Finished:
    """Recording and measures of a call from its spool; raises OSError, ValueError."""
    timeline = Timeline.of(read_spool(Path(job.spool)), job.connected_ns, job.ended_ns)
    path = Path(job.folder) / f"recording.{job.format}"
    transcoded = write_recording(timeline, path, job.format)
    measured = measure_call(timeline.agent_pcm(), timeline.duration_ms, job.caller_turns)
    return Finished(
        recording=Recording(
            key=path.name,
            format=job.format,
            duration_ms=timeline.duration_ms,
            bytes=path.stat().st_size,
            sha256=_sha256(path),
            transcoded=transcoded,
        ),
        turns=measured.turns,
        measures=measured.measures,
        detector=measured.detector,
        caller_channel_ms=timeline.caller_ms,
        agent_channel_ms=timeline.agent_ms,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer jobs until `source` ends; what is still waiting then is dropped."""
    waiting: Waiting = queue.PriorityQueue()
    threading.Thread(target=_take_in, args=(source, waiting), daemon=True).start()
    studio = Studio()
    encode = msgspec.msgpack.Encoder().encode
    while True:
        _, number, job = waiting.get()
        if job is None:
            return
        data = encode(Answered(number, studio.do(job)))
        if len(data) > MAX_MESSAGE_BYTES:
            failed = Failed(message="the answer is too large", job=str(job.__struct_config__.tag))
            data = encode(Answered(number, failed))
        sink.write(len(data).to_bytes(LENGTH_BYTES, "big") + data)
        sink.flush()


def _take_in(source: BinaryIO, waiting: Waiting) -> None:
    """Read messages into the queue; anything that is no message ends the studio."""
    decode = msgspec.msgpack.Decoder(Asked).decode
    while head := source.read(LENGTH_BYTES):
        size = int.from_bytes(head, "big")
        if size > MAX_MESSAGE_BYTES:
            break
        try:
            asked = decode(source.read(size))
        except msgspec.DecodeError:  # cut off: the parent died while it wrote
            break
        rank = 0 if isinstance(asked.job, MakeClip) else 1
        waiting.put((rank, asked.number, asked.job))
    waiting.put((-1, 0, None))


def main() -> None:
    """Serve stdin and stdout, on the cores named as arguments; libraries print elsewhere."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stay_on({int(core) for core in sys.argv[1:]})
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with contextlib.suppress(BrokenPipeError):  # the parent is gone
        serve(sys.stdin.buffer, sink)
    # A decoder or a blocked read must not hold up the end.
    os._exit(0)


if __name__ == "__main__":
    main()
