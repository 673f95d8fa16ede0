"""Each planted fault, as it shows on the wire."""

from __future__ import annotations

import asyncio

import aiohttp

from tests.integration.example_agent.agent_process import running_agent
from tests.integration.example_agent.phone import Phone, call


async def spoken_to(phone: Phone) -> None:
    """Hear the greeting, say something, and see that it has ended."""
    await phone.until(phone.said)
    phone.say(0.4)
    await phone.until(lambda: not phone.microphone.saying)


async def packets_later(phone: Phone, count: int) -> None:
    """Let so many packets of 20 ms arrive."""
    target = len(phone.arrivals) + count
    await phone.until(lambda: len(phone.arrivals) >= target)


async def test_slow_reply_is_more_than_four_seconds_late() -> None:
    """The reply comes, after 4 s and the usual second."""
    with running_agent("--fault", "slow-reply") as agent:
        async with call(agent.offer_url) as phone:
            await spoken_to(phone)
            heard = len(phone.audible)
            await phone.until(lambda: len(phone.audible) > heard)
            assert phone.audible[-1].at_s - phone.microphone.spoke_until_s > 4.5


async def test_never_speaks_sends_silence() -> None:
    """Packets arrive, nothing can be heard in them."""
    with running_agent("--fault", "never-speaks") as agent:
        async with call(agent.offer_url) as phone:
            await packets_later(phone, 100)
            assert phone.audible == []


async def test_deaf_says_nothing_after_its_greeting() -> None:
    """Silence where the healthy agent would have answered."""
    with running_agent("--fault", "deaf") as agent:
        async with call(agent.offer_url) as phone:
            await spoken_to(phone)
            await packets_later(phone, 100)
            assert not phone.agent_audible
            assert len(phone.told("bot-started-speaking")) == 1


async def test_ignores_barge_in_finishes_its_line() -> None:
    """Spoken over, the greeting is completed; the caller's turn is answered afterwards."""
    with running_agent("--fault", "ignores-barge-in") as agent:
        async with call(agent.offer_url) as phone:
            await phone.until(lambda: len(phone.audible) > 10)
            phone.say(0.5)
            await phone.until(lambda: len(phone.said("new")) == 2)
            assert "Casa Lumina" in phone.said()[0]
            assert phone.told("bot-interrupted") == []


async def test_hangs_up_early_leaves_after_its_first_reply() -> None:
    """peerLeft and a closed connection, two lines in."""
    with running_agent("--fault", "hangs-up-early") as agent:
        async with call(agent.offer_url) as phone:
            await spoken_to(phone)
            await phone.until(lambda: phone.agent_left)
            await phone.until(lambda: phone.peer.connectionState == "closed")
            assert len(phone.said()) == 2


async def test_clipped_audio_lies_at_full_scale() -> None:
    """A large share of the spoken samples; none in the healthy agent's voice."""
    with running_agent("--fault", "clipped-audio") as agent:
        async with call(agent.offer_url) as phone:
            await phone.until(lambda: len(phone.audible) > 50)
            loud = sum(one.near_full_scale for one in phone.audible)
            assert loud / (960 * len(phone.audible)) > 0.2


async def test_lost_packets_leaves_holes_in_the_sequence_numbers() -> None:
    """About 8 %, so well over the 2 % that the example plan allows."""
    with running_agent("--fault", "lost-packets", "--seed", "3") as agent:
        async with call(agent.offer_url) as phone:
            await phone.until(lambda: len(phone.arrivals) > 200)
            assert 4 < phone.lost_percent < 13


async def test_refuses_offer_with_a_reason() -> None:
    """HTTP 503 with a sentence."""
    with running_agent("--fault", "refuses-offer") as agent:
        async with aiohttp.ClientSession() as http:
            response = await http.post(agent.offer_url, json={"sdp": "", "type": "offer"})
            assert response.status == 503
            assert "no calls" in await response.text()


async def test_answers_without_audio_only_listens() -> None:
    """A usable connection whose audio section is recvonly."""
    with running_agent("--fault", "answers-without-audio") as agent:
        async with call(agent.offer_url) as phone:
            assert "a=recvonly" in phone.answer["sdp"]
            assert "a=sendrecv" not in phone.answer["sdp"]


async def test_freezes_in_its_first_reply_and_stays_connected() -> None:
    """No packet more and no goodbye; the data channel still tells what it hears."""
    with running_agent("--fault", "freezes") as agent:
        async with call(agent.offer_url) as phone:
            await spoken_to(phone)
            await phone.until(lambda: len(phone.said("new")) == 2)
            phone.say(1.5)
            await phone.until(lambda: len(phone.told("user-stopped-speaking")) == 2)
            last_packet_s = phone.arrivals[-1].at_s
            assert asyncio.get_running_loop().time() - last_packet_s > 0.5
            assert phone.peer.connectionState == "connected"
            assert not phone.agent_left
