"""What a caller of the healthy agent hears, and what the agent tells."""

from __future__ import annotations

import re
from functools import partial

import numpy as np

from tests.integration.example_agent.agent_process import AgentProcess
from tests.integration.example_agent.phone import Phone, call, opus


def begun(phone: Phone, lines: int) -> bool:
    """So many lines have begun, and the last one can be heard."""
    return len(phone.said("new")) == lines and phone.agent_audible


async def test_it_leads_through_a_booking_and_hangs_up_when_nobody_else_does(
    agent: AgentProcess,
) -> None:
    """A caller who only makes sounds gets every line, then peerLeft and a closed connection."""
    async with call(agent.offer_url) as phone:
        assert re.fullmatch(r"SmallWebRTCConnection#\d+-[0-9a-f]{32}", phone.answer["pc_id"])
        for lines in range(1, 4):
            await phone.until(partial(begun, phone, lines))
            phone.say(0.4)
        await phone.until(phone.said)
        assert "Casa Lumina" in phone.said("new")[0]
        assert "confirmed" in phone.said()[0]
        assert "see you" in phone.said()[0]
        assert len(phone.told("user-stopped-speaking")) == 3
        await phone.until(lambda: phone.agent_left)
        await phone.until(lambda: phone.peer.connectionState == "closed")


async def test_it_replies_between_one_half_and_two_seconds_after_the_callers_end(
    agent: AgentProcess,
) -> None:
    """Half a second of quiet ends the turn, then it thinks for 0.3 to 0.5 s."""
    async with call(agent.offer_url) as phone:
        await phone.until(phone.said)
        phone.say(0.6)
        heard = len(phone.audible)
        await phone.until(lambda: len(phone.audible) > heard)
        assert 0.5 < phone.audible[-1].at_s - phone.microphone.spoke_until_s < 2.0


async def test_it_stops_when_spoken_over_and_answers_then(agent: AgentProcess) -> None:
    """Barge-in: the interrupted text is never reported as completed, the next line follows."""
    async with call(agent.offer_url) as phone:
        await phone.until(lambda: len(phone.audible) > 20)
        phone.say(1.0)
        await phone.until(lambda: phone.told("bot-interrupted"))
        await phone.until(lambda: not phone.agent_audible)
        stopped_s = phone.audible[-1].at_s
        assert stopped_s < phone.microphone.spoke_until_s, "it talked on to the caller's end"
        assert phone.said() == []
        await phone.until(phone.said)
        assert "how many" in phone.said()[0]


async def test_it_hears_a_turn_in_loud_company(agent: AgentProcess) -> None:
    """Noise 15 dB under the caller's voice neither starts a turn nor keeps one open."""
    noise = np.random.default_rng(1).standard_normal(48_000) * 10 ** (-35 / 20)
    async with call(agent.offer_url, background=opus(noise)[1:]) as phone:
        await phone.until(phone.said)
        assert phone.told("bot-interrupted") == []
        phone.say(0.5)
        await phone.until(lambda: len(phone.said()) == 2)


async def test_it_answers_client_ready_with_bot_ready(agent: AgentProcess) -> None:
    """The answer carries the question's id and the RTVI version."""
    async with call(agent.offer_url) as phone:
        await phone.until(lambda: phone.channel.readyState == "open")
        phone.channel.send("ping: 12")
        phone.send({"label": "rtvi-ai", "type": "client-ready", "id": "q1", "data": {}})
        await phone.until(lambda: phone.told("bot-ready"))
        assert phone.told("bot-ready")[0]["id"] == "q1"
        assert phone.told("bot-ready")[0]["data"]["version"].startswith("2.")
