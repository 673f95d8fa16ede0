"""The studio process, the real one: its answers, its deaths, its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from shared.errors import StudioError
from tests.conftest import eventually
from tests.unit.media.conftest import FRAME_NS, sent_by, silence, tone
from worker.media.opus import encode_packets
from worker.media.sound import Bed, Sound, Spoken
from worker.media.spool import SpoolWriter
from worker.studio_jobs import FinishCall
from worker.studio_port import Studio

START_NS = 5_000_000_000


def _call(tmp_path: Path) -> FinishCall:
    """A spool of 3 s: the caller from 0.5 to 1.0 s, the agent from 1.5 to 2.3 s."""
    caller = encode_packets(np.concatenate([silence(0.5), tone(0.5), silence(2.0)]))
    agent = encode_packets(np.concatenate([silence(1.5), tone(0.8, 700.0), silence(0.7)]))
    spool = SpoolWriter(tmp_path / "spool")
    for frame, packet in enumerate(sent_by(agent, first_ns=START_NS)):
        due_ns = START_NS + frame * FRAME_NS
        spool.sent(frame, due_ns, due_ns, caller[frame], 0)
        spool.received(packet)
    spool.close()
    return FinishCall(
        spool=str(tmp_path / "spool"),
        folder=str(tmp_path),
        format="opus",
        connected_ns=START_NS,
        ended_ns=START_NS + 3_000_000_000,
    )


def _process_of(studio: Studio) -> int:
    assert studio._process is not None
    return studio._process.pid


def _environment_of(process: int) -> bytes:
    return Path(f"/proc/{process}/environ").read_bytes()


async def test_the_studio_makes_clips_and_finishes_calls(tmp_path: Path) -> None:
    """Several jobs at once, each with its own answer."""
    async with Studio() as studio:
        clip, bed, finished = await asyncio.gather(
            studio.make_clip(Spoken(text="Hello")),
            studio.make_clip(Bed()),
            studio.finish_call(_call(tmp_path)),
        )
    assert clip.hash == Spoken(text="Hello").hash
    assert len(bed.packets) == 50
    recording = finished.recording
    assert (recording.key, recording.format, recording.transcoded) == (
        "recording.opus", "opus", False,
    )  # fmt: skip
    assert recording.duration_ms == 3000.0
    assert recording.bytes == (tmp_path / "recording.opus").stat().st_size
    (turn,) = [turn for turn in finished.turns if turn.who == "agent"]
    assert turn.start_ms == pytest.approx(1500, abs=10)
    assert turn.end_ms == pytest.approx(2300, abs=20)


async def test_a_failed_job_says_why_and_the_studio_lives_on(tmp_path: Path) -> None:
    """An unknown voice, a file that is not there, a call without a spool."""
    async with Studio() as studio:
        with pytest.raises(StudioError, match="no voice or language"):
            await studio.make_clip(Spoken(text="Hello", voice="tlh"))
        with pytest.raises(StudioError, match="cannot be read"):
            await studio.make_clip(Sound(asset="a"), {"a": tmp_path / "nowhere"})
        lost = FinishCall(
            spool=str(tmp_path / "nowhere"),
            folder=str(tmp_path),
            format="opus",
            connected_ns=0,
            ended_ns=1,
        )
        with pytest.raises(StudioError, match="FileNotFoundError"):
            await studio.finish_call(lost)
        process = _process_of(studio)
        assert (await studio.make_clip(Bed())).packets
        assert _process_of(studio) == process
        assert studio.restarts == 0


async def test_a_killed_studio_is_replaced_and_its_job_done(tmp_path: Path) -> None:
    """Whoever waits notices nothing but the delay."""
    async with Studio() as studio:
        await studio.make_clip(Bed())
        async with asyncio.TaskGroup() as group:
            asking = [
                group.create_task(studio.make_clip(Spoken(text=f"Number {n}"))) for n in range(8)
            ]
            await asyncio.sleep(0)
            os.kill(_process_of(studio), signal.SIGKILL)
        assert [task.result().hash for task in asking] == [
            Spoken(text=f"Number {n}").hash for n in range(8)
        ]
        assert studio.restarts == 1


async def test_a_job_that_kills_two_processes_fails() -> None:
    """A studio that dies over each job does not take them down with it for ever."""
    deadly = (sys.executable, "-c", "import sys; sys.stdin.buffer.read(5)")
    async with Studio(deadly) as studio:
        with pytest.raises(StudioError, match="died 2 times"):
            await studio.make_clip(Bed())


async def test_a_job_that_hangs_is_given_up() -> None:
    """After its limit the job fails and the process is replaced."""
    deaf = (sys.executable, "-c", "import sys; sys.stdin.buffer.read()")
    async with Studio(deaf, job_limit_s=0.5) as studio:
        with pytest.raises(StudioError, match="more than"):
            await studio.make_clip(Bed())
        await eventually(lambda: studio.restarts == 1, "the studio was replaced")


# A studio that takes 0.2 s a job and knows only how to fail; the job named on its command line
# kills it.
POOR_STUDIO = """
import os, sys, threading, msgspec
source, sink = sys.stdin.buffer, sys.stdout.buffer
while head := source.read(4):
    number = msgspec.msgpack.decode(source.read(int.from_bytes(head, "big")))["number"]
    if number == int(sys.argv[1]):
        os._exit(1)
    threading.Event().wait(0.2)
    answer = {"type": "failed", "message": f"tried {number}", "job": "make_clip"}
    data = msgspec.msgpack.encode({"number": number, "answer": answer})
    sink.write(len(data).to_bytes(4, "big") + data)
    sink.flush()
"""


async def test_the_wait_in_line_is_no_part_of_a_jobs_time() -> None:
    """Many jobs at once are worked off one by one, and none is given up for that."""
    poor = (sys.executable, "-c", POOR_STUDIO, "-1")
    async with Studio(poor, job_limit_s=0.8) as studio:
        asked = [studio.make_clip(Bed(level_dbfs=-n)) for n in range(8)]
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert [str(error) for error in told] == [f"tried {n}" for n in range(1, 9)]
        assert studio.restarts == 0


async def test_a_deadly_job_takes_none_of_those_behind_it_along() -> None:
    """Only what the process was at when it died is to blame."""
    poor = (sys.executable, "-c", POOR_STUDIO, "1")
    async with Studio(poor) as studio:
        asked = [studio.make_clip(Bed(level_dbfs=-n)) for n in range(3)]
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert "died 2 times" in str(told[0])
        assert [str(error) for error in told[1:]] == ["tried 2", "tried 3"]


async def test_what_libraries_print_does_not_spoil_the_answers() -> None:
    """Nonsense instead of an answer is a death, not an answer."""
    chatty = (sys.executable, "-c", "print('hello there, this is no message at all', flush=True)")
    async with Studio(chatty) as studio:
        with pytest.raises(StudioError, match="died"):
            await studio.make_clip(Bed())


async def test_the_process_ends_with_its_port() -> None:
    """Leaving the block ends it, and whoever still waits is told."""
    async with Studio() as studio:
        await studio.make_clip(Bed())
        process = _process_of(studio)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    with pytest.raises(StudioError, match="closed"):
        await studio.make_clip(Bed())


async def test_the_process_ends_when_its_input_does_and_ignores_ctrl_c() -> None:
    """As when the parent was killed; an interrupt alone is its parent's to handle."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker.studio",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    await eventually(
        lambda: os.getpriority(os.PRIO_PROCESS, process.pid) >= 10, "the studio is nice"
    )
    process.send_signal(signal.SIGINT)
    process.stdin.close()
    async with asyncio.timeout(5):
        assert await process.wait() == 0


async def test_the_studio_sees_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the worker's environment it gets only what a program needs to run."""
    monkeypatch.setenv("PHONEBANK_SECRET_TOKEN", "hidden")
    async with Studio() as studio:
        await studio.make_clip(Bed())
        assert b"hidden" not in _environment_of(_process_of(studio))


async def test_an_error_within_the_block_comes_out_as_it_is() -> None:
    """The port's own tasks do not wrap it."""
    with pytest.raises(ZeroDivisionError):
        async with Studio():
            _ = 1 // 0


async def test_a_studio_that_cannot_be_started_fails_jobs_and_not_the_worker() -> None:
    """Each job is given up after its limit."""
    async with Studio(("/nowhere/studio",), job_limit_s=0.3) as studio:
        with pytest.raises(StudioError, match="more than"):
            await studio.make_clip(Bed())
