"""What is particular to SmallWebRTC: sessions, refusals, evidence, addresses, levels."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiortc.rtp import is_rtcp

from shared.agent import IceServer, SmallWebRTC
from shared.call import EndedReason, Step
from shared.errors import CallFailure
from shared.http import Http
from tests.conftest import eventually
from tests.contracts.transports import QUIET_DBOV, SILENCE, HeardLine, talk
from tests.integration.transports.pipecat_peer import PipecatPeer
from worker.media.clock import now_ns
from worker.transports.smallwebrtc.transport import SmallWebRTCTransport


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http() as client:
        yield client


@pytest.fixture
async def peer() -> AsyncIterator[PipecatPeer]:
    async with PipecatPeer() as server:
        yield server


def call(
    http: Http, *, connect_s: float = 5.0, tell: dict[str, str] | None = None, **endpoint: Any
) -> SmallWebRTCTransport:
    return SmallWebRTCTransport(
        SmallWebRTC(**endpoint), connect_s=connect_s, tell_agent=tell or {}, http=http
    )


async def failure_of(transport: SmallWebRTCTransport) -> CallFailure:
    with pytest.raises(CallFailure) as failure:
        await transport.connect(HeardLine())
    await transport.close()
    assert len(failure.value.detail) <= 300
    return failure.value


async def test_the_offer_carries_data_and_headers(peer: PipecatPeer, http: Http) -> None:
    """Told variables travel beside the plan's own data, and nothing else does."""
    transport = call(
        http,
        offer_url=f"{peer.url}/api/offer",
        request_data={"tenant": "demo"},
        headers={"Authorization": "Bearer x"},
        tell={"customer": "c-17"},
    )
    await transport.connect(HeardLine())
    await transport.close()
    assert set(peer.offers[0]) == {"sdp", "type", "request_data"}
    assert peer.offers[0]["request_data"] == {"tenant": "demo", "customer": "c-17"}
    assert peer.headers[0]["Authorization"] == "Bearer x"


async def test_an_offer_without_data_names_none(peer: PipecatPeer, http: Http) -> None:
    """An empty request_data is not sent: runners would let it hide the start body."""
    transport = call(http, offer_url=f"{peer.url}/api/offer")
    await transport.connect(HeardLine())
    await transport.close()
    assert set(peer.offers[0]) == {"sdp", "type"}


async def test_the_offer_is_opus_on_loopback_alone(peer: PipecatPeer, http: Http) -> None:
    """A loopback endpoint is met on 127.0.0.1, with audio before the data channel."""
    transport = call(http, offer_url=f"{peer.url}/api/offer")
    await transport.connect(HeardLine())
    await transport.close()
    lines = peer.offers[0]["sdp"].splitlines()
    media = [line.split()[0] for line in lines if line.startswith("m=")]
    assert media == ["m=audio", "m=application"]
    assert [line for line in lines if line.startswith("a=rtpmap")] == ["a=rtpmap:96 opus/48000/2"]
    candidates = {line.split()[4] for line in lines if line.startswith("a=candidate")}
    assert candidates == {"127.0.0.1"}


async def test_all_addresses_are_offered_where_asked_for(peer: PipecatPeer, http: Http) -> None:
    """`ice: all` adds loopback to what aioice finds, and touches no other call."""
    widened = call(http, offer_url=f"{peer.url}/api/offer", ice="all")
    narrow = call(http, offer_url=f"{peer.url}/api/offer")
    await asyncio.gather(widened.connect(HeardLine()), narrow.connect(HeardLine()))
    await widened.close()
    await narrow.close()
    found = [
        {line.split()[4] for line in offer["sdp"].splitlines() if line.startswith("a=candidate")}
        for offer in peer.offers
    ]
    assert all("127.0.0.1" in addresses for addresses in found)
    assert {"127.0.0.1"} in found


async def test_a_session_is_started_and_offered_to(peer: PipecatPeer, http: Http) -> None:
    """`/start` first; its session is a join key and part of the offer's path."""
    transport = call(
        http, start_url=f"{peer.url}/start", start_body={"flow": "a"}, tell={"customer": "c-17"}
    )
    await transport.connect(HeardLine())
    keys = transport.join_keys()
    await transport.close()
    assert keys == {"session_id": "session/1", "pc_id": peer.bots[0].pc_id}
    assert peer.starts[0]["transport"] == "webrtc"
    assert peer.starts[0]["body"] == {"flow": "a", "customer": "c-17"}
    assert set(peer.offers[0]) == {"sdp", "type"}


async def test_a_session_that_is_not_ready_is_asked_again(peer: PipecatPeer, http: Http) -> None:
    """404 on a fresh session means that its pod is not known yet."""
    refusals = iter([True, True, False])

    def not_ready(_: dict[str, Any]) -> web.StreamResponse | None:
        return web.Response(status=404, text="not-yet-ready") if next(refusals) else None

    peer.spoil_answer = not_ready
    transport = call(http, start_url=f"{peer.url}/start")
    await transport.connect(HeardLine())
    await transport.close()
    assert len(peer.offers) == 3


async def test_a_session_that_never_is_ready_is_a_refusal(peer: PipecatPeer, http: Http) -> None:
    """The last status is told, not a time-out."""
    peer.spoil_answer = lambda _: web.Response(status=404, text="not-yet-ready")
    failure = await failure_of(call(http, start_url=f"{peer.url}/start", connect_s=0.6))
    assert failure.ended_reason == EndedReason.OFFER_REFUSED
    assert "404" in failure.detail
    assert len(peer.offers) >= 2


async def test_a_failing_start_is_tried_again_within_bounds(peer: PipecatPeer, http: Http) -> None:
    """5xx may pass; three of them do not."""
    peer.spoil_start = lambda _: web.Response(status=503, text="warming up")
    failure = await failure_of(call(http, start_url=f"{peer.url}/start"))
    assert failure.ended_reason == EndedReason.START_REFUSED
    assert failure.detail == "HTTP 503: warming up"
    assert len(peer.starts) == 3


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda _: web.Response(status=401, text="no key"),
        lambda _: web.Response(text="nonsense"),
        lambda _: web.json_response({}),
        lambda _: web.json_response({"sessionId": 7}),
        lambda _: web.json_response([]),
    ],
)
async def test_a_start_that_gives_no_session_is_refused(
    peer: PipecatPeer, http: Http, spoilt: Any
) -> None:
    """Final at once: asking again would not help."""
    peer.spoil_start = spoilt
    failure = await failure_of(call(http, start_url=f"{peer.url}/start"))
    assert (failure.ended_reason, failure.step) == (EndedReason.START_REFUSED, Step.SIGNALLING)
    assert len(peer.starts) == 1


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (lambda _: web.Response(status=500, text="x" * 9000), EndedReason.OFFER_REFUSED),
        (lambda _: web.Response(status=302), EndedReason.OFFER_REFUSED),
        (lambda _: web.Response(text="nonsense"), EndedReason.ANSWER_INVALID),
        (lambda _: web.Response(body=b" " * 1_100_000), EndedReason.ANSWER_INVALID),
        (lambda a: web.json_response(a | {"sdp": "x"}), EndedReason.ANSWER_WITHOUT_AUDIO),
        (
            lambda a: web.json_response(a | {"sdp": a["sdp"].replace("sendrecv", "recvonly")}),
            EndedReason.ANSWER_WITHOUT_AUDIO,
        ),
        (
            lambda a: web.json_response(a | {"sdp": a["sdp"].replace("a=ice-pwd", "a=ice-x")}),
            EndedReason.ANSWER_INVALID,
        ),
        (
            lambda a: web.json_response(a | {"sdp": a["sdp"].replace("a=mid:0", "a=mid:9")}),
            EndedReason.ANSWER_INVALID,
        ),
    ],
)
async def test_answers_that_cannot_be_used_are_named(
    peer: PipecatPeer, http: Http, spoilt: Any, reason: EndedReason
) -> None:
    """Each way of spoiling an answer has its reason."""
    peer.spoil_answer = spoilt
    failure = await failure_of(call(http, offer_url=f"{peer.url}/api/offer"))
    assert failure.ended_reason == reason


async def test_no_media_path_is_an_ice_failure(peer: PipecatPeer, http: Http) -> None:
    """An answer whose address nobody is at connects to nothing within the limit."""

    def elsewhere(answer: dict[str, Any]) -> web.StreamResponse:
        lines = answer["sdp"].split("\r\n")
        dead = [line for line in lines if not line.startswith("a=candidate")]
        return web.json_response(answer | {"sdp": "\r\n".join(dead)})

    peer.spoil_answer = elsewhere
    failure = await failure_of(call(http, offer_url=f"{peer.url}/api/offer", connect_s=1.0))
    assert (failure.ended_reason, failure.step) == (EndedReason.ICE_FAILED, Step.ICE)


async def test_nothing_at_the_address_is_unreachable(http: Http) -> None:
    """A closed port answers at once."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    failure = await failure_of(call(http, offer_url=f"http://127.0.0.1:{port}/api/offer"))
    assert failure.ended_reason == EndedReason.ENDPOINT_UNREACHABLE


async def test_a_silent_server_times_out(http: Http) -> None:
    """The limit of signalling holds for a server that accepts and never answers."""
    release = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/api/offer"
        failure = await failure_of(call(http, offer_url=url, connect_s=0.3))
        release.set()
    assert failure.ended_reason == EndedReason.OFFER_TIMED_OUT


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ({"offer_url": "http://169.254.169.254/x"}, EndedReason.ADDRESS_REFUSED),
        ({"start_url": "http://127.0.0.1:9/begin"}, EndedReason.ENDPOINT_UNREACHABLE),
        (
            {"offer_url": "http://127.0.0.1:9/x", "headers": {"a b": "c"}},
            EndedReason.PLAN_INVALID,
        ),
        (
            {"offer_url": "http://127.0.0.1:9/x", "ice_servers": [IceServer(urls="nonsense")]},
            EndedReason.PLAN_INVALID,
        ),
    ],
)
async def test_endpoints_that_cannot_be_called_are_named(
    http: Http, endpoint: dict[str, Any], reason: EndedReason
) -> None:
    """Before any offer leaves."""
    failure = await failure_of(call(http, **endpoint))
    assert failure.ended_reason == reason


async def test_evidence_reaches_the_line(peer: PipecatPeer, http: Http) -> None:
    """client-ready goes out when the channel opens; what the agent says of itself comes in."""
    line, transport = HeardLine(), call(http, offer_url=f"{peer.url}/api/offer")
    await transport.connect(line)
    bot = peer.bots[0]
    await eventually(lambda: len(bot.messages) == 1, "the bot gets client-ready")
    assert "client-ready" in bot.messages[0]
    bot.say("bot-output", text="Hello.", spoken_status="completed", segment_id="1")
    bot.send("not json")
    bot.say("user-transcription", text="A table.", final=True)
    await eventually(lambda: len(line.reports) == 2, "two reports arrive")
    assert [(r.kind, r.text) for r in line.reports] == [("said", "Hello."), ("heard", "A table.")]
    bot.send({"type": "signalling", "message": {"type": "peerLeft"}})
    await eventually(lambda: bool(line.left), "the line is told that the agent left")
    await transport.close()


async def test_rtvi_off_asks_and_takes_nothing(peer: PipecatPeer, http: Http) -> None:
    """Without RTVI the agent's goodbye still counts."""
    line, transport = HeardLine(), call(http, offer_url=f"{peer.url}/api/offer", rtvi="off")
    await transport.connect(line)
    bot = peer.bots[0]
    await eventually(lambda: bot.channel is not None, "the channel opens")
    bot.say("bot-ready", version="2.2.0")
    bot.send({"type": "signalling", "message": {"type": "peerLeft"}})
    await eventually(lambda: bool(line.left), "the line is told that the agent left")
    assert (line.reports, bot.messages) == ([], [])
    await transport.close()


async def test_levels_travel_in_the_header(peer: PipecatPeer, http: Http) -> None:
    """RFC 6464: the agent's side can tell speech from silence without decoding."""
    transport = call(http, offer_url=f"{peer.url}/api/offer")
    await transport.connect(HeardLine())
    transport.send(SILENCE, 0)
    transport.send(SILENCE, 42)
    transport.send(SILENCE, QUIET_DBOV)
    await eventually(lambda: len(peer.bots[0].heard) == 3, "three packets arrive")
    assert peer.bots[0].levels == [(False, 0), (False, 42), (False, QUIET_DBOV)]
    await transport.close()


async def test_skipped_frames_leave_a_gap_in_rtp_time(peer: PipecatPeer, http: Http) -> None:
    """After a stall the agent's clock of us is right again; frames before it are 960 apart."""
    transport = call(http, offer_url=f"{peer.url}/api/offer")
    await transport.connect(HeardLine())
    await talk(transport, 3)
    resumed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.5, resumed.set)
    await resumed.wait()
    await talk(transport, 3)
    await eventually(lambda: len(peer.bots[0].heard) == 6, "six packets arrive")
    stamps = peer.bots[0].timestamps
    steps = [(b - a) & 0xFFFFFFFF for a, b in itertools.pairwise(stamps)]
    assert steps[:2] == [960, 960]
    assert steps[3:] == [960, 960]
    assert 20 * 960 <= steps[2] <= 60 * 960
    await transport.close()


async def test_calls_at_the_same_time_hear_their_own_agent(peer: PipecatPeer, http: Http) -> None:
    """Two calls of one process share nothing: each hears its own words back."""
    lines = [HeardLine(), HeardLine()]
    transports = [call(http, offer_url=f"{peer.url}/api/offer") for _ in lines]
    await asyncio.gather(*(t.connect(line) for t, line in zip(transports, lines, strict=True)))
    marks = [[bytes([who, n]) for n in range(30)] for who in range(2)]
    await asyncio.gather(*(talk(t, 30, m) for t, m in zip(transports, marks, strict=True)))
    for line, mark in zip(lines, marks, strict=True):
        await eventually(lambda line=line: len(line.packets) == 30, "30 packets are heard")  # type: ignore[misc]
        assert [packet.payload for packet in line.packets] == [SILENCE + m for m in mark]
    await asyncio.gather(*(transport.close() for transport in transports))
    assert len({transport.join_keys()["pc_id"] for transport in transports}) == 2


async def test_a_busy_loop_does_not_move_arrivals(peer: PipecatPeer, http: Http) -> None:
    """Packets are dated where they passed the socket, not when the loop got round to them."""
    line, transport = HeardLine(), call(http, offer_url=f"{peer.url}/api/offer")
    await transport.connect(line)
    await talk(transport, 2)
    await eventually(lambda: len(line.packets) == 2, "the echo works")
    # The echo leaves in one turn of the loop and is read in a later one: block it in between.
    sent_ns: list[int] = []
    send_rtp = peer.bots[0].connection.getSenders()[0].transport._send_rtp

    async def send_then_block(data: bytes) -> None:
        await send_rtp(data)
        if len(data) < 60 and not is_rtcp(data) and not sent_ns:
            sent_ns.append(now_ns())
            blocked_until_s = time.monotonic() + 0.1
            while time.monotonic() < blocked_until_s:
                pass

    peer.bots[0].connection.getSenders()[0].transport._send_rtp = send_then_block  # type: ignore[method-assign]
    peer.bots[0].echo.queue.put_nowait(SILENCE)
    await eventually(lambda: len(line.packets) == 3, "one more packet is heard")
    assert abs(line.packets[2].arrived_ns - sent_ns[0]) < 50_000_000
    await transport.close()


async def test_a_call_keeps_no_thread(peer: PipecatPeer, http: Http) -> None:
    """aiortc's decoder has nothing to decode on our side; the peer's own threads are its own."""
    before = threading.active_count()
    transports = [call(http, offer_url=f"{peer.url}/api/offer") for _ in range(3)]
    for transport in transports:
        await transport.connect(HeardLine())
    await eventually(lambda: len(peer.bots) == 3, "three bots answer")

    def decoders() -> int:
        return sum("decoder" in thread.name for thread in threading.enumerate())

    assert decoders() <= 3  # the bots', none of ours
    for transport in transports:
        await transport.close()
    assert threading.active_count() <= before + 4


async def test_round_trip_time_is_measured(peer: PipecatPeer, http: Http) -> None:
    """Within the first reports of both sides."""
    transport = call(http, offer_url=f"{peer.url}/api/offer")
    await transport.connect(HeardLine())
    await talk(transport, 10)

    def measured() -> bool:
        transport.send(SILENCE, QUIET_DBOV)
        return transport.statistics().round_trip_ms is not None

    await eventually(measured, "a round trip is measured")
    await transport.close()
    round_trip_ms = transport.statistics().round_trip_ms
    assert round_trip_ms is not None
    assert 0 <= round_trip_ms < 1000
