"""The routes, as Pipecat's clients use and misuse them."""

from __future__ import annotations

import asyncio
import os
import signal

import aiohttp
import pytest

from tests.integration.example_agent.agent_process import MAIN, AgentProcess, running_agent
from tests.integration.example_agent.phone import Phone, call


async def test_a_session_of_start_takes_an_offer(agent: AgentProcess) -> None:
    """/start gives an id; its offer route leads to a call."""
    async with aiohttp.ClientSession() as http:
        response = await http.post(
            f"{agent.base_url}/start", json={"enableDefaultIceServers": True}
        )
        started = await response.json()
    assert started["iceConfig"] == {"iceServers": []}
    async with call(f"{agent.base_url}/sessions/{started['sessionId']}/api/offer") as phone:
        await phone.until(lambda: phone.audible)


async def test_a_session_that_nobody_started_is_unknown(agent: AgentProcess) -> None:
    """404 with Pipecat's own words, which callers take as a reason to try again."""
    async with aiohttp.ClientSession() as http:
        response = await http.post(f"{agent.base_url}/sessions/none/api/offer", json={})
        assert response.status == 404
        assert await response.text() == "Invalid or not-yet-ready session_id"


@pytest.mark.parametrize(
    ("body", "status"),
    [("{", 422), ('{"sdp": "v=0"}', 422), ('{"sdp": "x", "type": "offer"}', 400)],
)
async def test_an_offer_that_is_none_is_refused(
    agent: AgentProcess, body: str, status: int
) -> None:
    """A reason in `detail`, and no call begins."""
    async with aiohttp.ClientSession() as http:
        response = await http.post(agent.offer_url, data=body)
        assert response.status == status
        assert (await response.json())["detail"]


async def test_a_second_offer_for_a_call_renegotiates_it(agent: AgentProcess) -> None:
    """Same pc_id, same audio."""
    async with call(agent.offer_url) as phone:
        pc_id = phone.answer["pc_id"]
        await phone.until(lambda: phone.audible)
        await phone.dial(agent.offer_url, pc_id=pc_id)
        assert phone.answer["pc_id"] == pc_id
        await phone.until(phone.said)


async def test_only_loopback_is_offered(agent: AgentProcess) -> None:
    """No other address of this host appears in the answer."""
    async with call(agent.offer_url) as phone:
        candidates = [line for line in phone.answer["sdp"].splitlines() if "candidate:" in line]
        assert candidates
        assert all(" 127.0.0.1 " in line for line in candidates)


async def test_a_signal_ends_it_with_a_goodbye_to_its_callers() -> None:
    """SIGTERM in mid-call: peerLeft arrives, the process ends without an error."""
    with running_agent() as agent:
        phone: Phone
        async with call(agent.offer_url) as phone:
            await phone.until(lambda: phone.audible)
            agent.process.send_signal(signal.SIGTERM)
            await phone.until(lambda: phone.agent_left)
        assert await asyncio.to_thread(agent.process.wait, 10) == 0


async def test_it_ends_with_its_parents_pipe() -> None:
    """What its parent holds open keeps it alive, and no longer."""
    read_end, write_end = os.pipe()
    with running_agent(parent_fd=read_end) as agent:
        os.close(read_end)
        assert agent.process.poll() is None
        os.close(write_end)
        assert await asyncio.to_thread(agent.process.wait, 10) == 0


def test_it_imports_nothing_of_phonebank() -> None:
    """Newcomers copy it: it stands alone."""
    for file in MAIN.parent.glob("*.py"):
        lines = file.read_text().splitlines()
        imports = {
            line.split()[1].split(".")[0] for line in lines if line.startswith(("from ", "import "))
        }
        assert not imports & {"phonebank", "worker", "scheduler", "shared", "tests"}, file
