"""The demo: twelve real calls with an example agent, judged, recorded, and nothing left behind."""

from __future__ import annotations

import signal
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from shared.call import EndedReason, Verdict
from shared.result import CallResult
from tests.conftest import eventually
from tests.integration.walk.commands import command, processes_with, rows_of, run_of
from tests.integration.walk.conftest import Demo

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

RATE_HZ = 48_000


def test_a_healthy_agent_passes(demo: Demo) -> None:
    """Exit code 0, the verdict pass, and twelve calls that passed or were honestly left
    unjudged.
    """
    assert demo.exit_code == 0, demo.said
    run = run_of(demo.folder)
    assert run.verdict is Verdict.PASS
    assert run.counts.planned == len(rows_of(demo.folder)) == 12
    assert run.counts.failed == 0
    assert "PASS" in demo.said
    assert str(demo.folder) in demo.said.replace("\n", "")


def test_every_call_has_its_turns_and_measures(demo: Demo) -> None:
    """The caller hung up after its script, the agent was heard, its answers have latencies."""
    for row in rows_of(demo.folder):
        assert row.ended_reason is EndedReason.CALLER_HUNG_UP
        assert row.measures.time_to_first_word_ms is not None
        assert row.measures.response_latency_ms.n >= 1
        assert row.evidence.said()
        assert row.join_keys["pc_id"]


def test_recordings_hold_the_caller_left_and_the_agent_right(demo: Demo) -> None:
    """Each decodes as stereo of the call's length; each side is loud where its turns are."""
    for row in rows_of(demo.folder):
        assert row.recording is not None
        left, right = _channels(demo.folder / row.recording.key)
        assert abs(len(left) * 1000 / RATE_HZ - row.duration_ms) <= 40
        assert _level(right, row, "agent") > _level(right, row, "caller") + 20
        if row.persona == "calm":  # the other one's café is on the line all the time
            assert _level(left, row, "caller") > _level(left, row, "agent") + 20


def test_no_process_outlives_the_demo(demo: Demo) -> None:
    """Valkey, scheduler, media process, studio and agent are gone with the command."""
    assert demo.left == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_no_process_outlives_a_command_that_is_stopped(
    number: signal.Signals, data_dir: Path, tmp_path: Path
) -> None:
    """Ctrl-C cancels the run and says 130; SIGKILL asks nobody; nothing is left either way."""
    mark = tmp_path / "data"
    mark.symlink_to(data_dir)  # the same clips under a name of this test's own
    environ = {"PHONEBANK_DATA_DIR": str(mark)}
    with command("demo", "--out", str(tmp_path / "out"), environ=environ) as running:
        running.line_with(r"[1-9]\d* running")
        assert len(processes_with(str(mark))) >= 5
        running.tell(number)
        exit_code = running.ended(60)
    assert exit_code == (130 if number is signal.SIGINT else -signal.SIGKILL)
    await eventually(lambda: not processes_with(str(mark)), "all processes gone", 20)


def _channels(path: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.channels == 2
        assert container.streams.audio[0].rate == RATE_HZ
        resampler = av.AudioResampler("fltp", "stereo", RATE_HZ)
        frames = [
            made.to_ndarray()
            for frame in container.decode(audio=0)
            for made in resampler.resample(frame)
        ]
    sound = np.concatenate(frames, axis=1)
    return sound[0], sound[1]


def _level(channel: npt.NDArray[np.float32], row: CallResult, who: str) -> float:
    """RMS in dBFS over the inner parts of `who`'s turns that the other side does not touch."""
    parts = []
    for turn in row.turns:
        others = [other for other in row.turns if other.who != turn.who]
        if turn.who == who and not any(
            other.start_ms < turn.end_ms and turn.start_ms < other.end_ms for other in others
        ):
            start, end = (int(ms * RATE_HZ / 1000) for ms in (turn.start_ms, turn.end_ms))
            parts.append(channel[start:end])
    power = float(np.mean(np.square(np.concatenate(parts))))
    return 10 * float(np.log10(power + 1e-10))
