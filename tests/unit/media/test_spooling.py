"""The spool file: what is written is read, whatever happens to the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import CallFailure
from worker.media.spool import SpoolWriter, read_spool
from worker.transports.transport import ReceivedPacket

PACKET = ReceivedPacket(5_000_000_000, 65535, 2**32 - 1, b"agent")


def _written(path: Path) -> None:
    spool = SpoolWriter(path)
    spool.sent(0, 10, 11, b"caller", 127)
    spool.received(PACKET)
    spool.sent(3, 60_000_010, 60_000_011, b"", 0)
    spool.close()


def test_a_spool_gives_back_what_was_written(tmp_path: Path) -> None:
    """Every field of both directions survives, at the ends of its range."""
    _written(tmp_path / "spool")
    spool = read_spool(tmp_path / "spool")
    assert [(p.frame, p.due_ns, p.sent_ns, p.payload, p.level) for p in spool.sent] == [
        (0, 10, 11, b"caller", 127),
        (3, 60_000_010, 60_000_011, b"", 0),
    ]
    assert spool.received == [PACKET]
    assert not spool.torn


def test_a_torn_tail_costs_one_record(tmp_path: Path) -> None:
    """Wherever a crash cuts the file, all whole records before it are read."""
    path = tmp_path / "spool"
    _written(path)
    data = path.read_bytes()
    for length in range(len(data) - 1, 18, -1):
        path.write_bytes(data[:length])
        spool = read_spool(path)
        assert len(spool.sent) + len(spool.received) < 3
        assert [p.payload for p in spool.sent] in ([], [b"caller"])


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """Anything without the magic line is no spool."""
    (tmp_path / "other").write_bytes(b"hello")
    with pytest.raises(ValueError, match="not a spool"):
        read_spool(tmp_path / "other")


def test_a_running_call_is_on_disk_within_a_second(tmp_path: Path) -> None:
    """Packets older than a second are readable while the writer is still open."""
    spool = SpoolWriter(tmp_path / "spool")
    for frame in range(120):
        spool.sent(frame, frame * 20_000_000, frame * 20_000_000, b"x" * 50, 0)
    assert len(read_spool(tmp_path / "spool").sent) >= 60
    spool.close()


def test_the_bound_stops_the_file_and_says_so(tmp_path: Path) -> None:
    """A spool never outgrows its bound, and what is in it stays readable."""
    spool = SpoolWriter(tmp_path / "spool", max_bytes=1000)
    for frame in range(100):
        spool.sent(frame, 0, 0, b"x" * 50, 0)
    with pytest.raises(CallFailure, match="more than 1000 bytes"):
        spool.close()
    spool.close()
    assert (tmp_path / "spool").stat().st_size <= 1000
    assert not read_spool(tmp_path / "spool").torn
