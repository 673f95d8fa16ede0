"""The private names of aiortc that the adapter stands on."""

from __future__ import annotations

import importlib.metadata

import pytest
from aiortc import rtcsctptransport
from aiortc.rtcrtpreceiver import RTCRtpReceiver

from shared.errors import FleetError
from worker.transports.peer import check_aiortc


async def test_the_installed_aiortc_is_known() -> None:
    """Every name is where it was, and long messages are cut below an MTU of 1280."""
    check_aiortc()
    assert rtcsctptransport.USERDATA_MAX_LENGTH == 1100


async def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that would fail in every call fails at its start, and says why."""
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "1.17.0")
    with pytest.raises(FleetError, match=r"1\.17\.0"):
        check_aiortc()


async def test_a_moved_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that is missing is the name that is told."""
    monkeypatch.setattr(RTCRtpReceiver, "__init__", lambda *_: None)
    monkeypatch.setattr(RTCRtpReceiver, "_set_rtcp_ssrc", lambda *_: None)
    with pytest.raises(FleetError, match="jitter_buffer"):
        check_aiortc()
