"""The scripted agent: every option changes what a caller hears, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.contracts.transports import SILENCE, HeardLine
from tests.virtual_time import run_virtually
from worker.transports.loopback import LoopbackAgent, LoopbackTransport, Path, Utterance

SPEECH_DBOV = 30
QUIET_DBOV = 127


def words(name: str, frames: int = 10) -> Utterance:
    """An utterance whose packets carry its name and position."""
    return Utterance([f"{name}{frame}".encode() for frame in range(frames)], text=name)


class Heard(HeardLine):
    """What came back, with times in milliseconds from the start of media."""

    def __init__(self) -> None:
        super().__init__()
        self.start_ns = 0
        self.left_ms: float | None = None

    def agent_left(self, detail: str) -> None:
        super().agent_left(detail)
        self.left_ms = asyncio.get_running_loop().time() * 1000 - self.start_ns / 1e6

    def spoken(self) -> list[tuple[int, str]]:
        """(ms of arrival, packet) for all that is not silence."""
        return [
            (round((packet.arrived_ns - self.start_ns) / 1e6), packet.payload.decode())
            for packet in self.packets
            if packet.payload != SILENCE
        ]


def listen(
    agent: LoopbackAgent,
    *,
    talks: list[tuple[int, int]] | None = None,
    for_ms: int = 3000,
    up: Path | None = None,
    down: Path | None = None,
    then: Callable[[LoopbackTransport], None] = lambda _: None,
) -> Heard:
    """Hold a call in virtual time; the caller is loud within each (start_ms, end_ms) of `talks`."""

    async def call() -> Heard:
        loop = asyncio.get_running_loop()
        line, transport = Heard(), LoopbackTransport(agent, up=up, down=down)
        await transport.connect(line)
        start_s = loop.time()
        line.start_ns = int(start_s * 1e9)
        for at_ms in range(0, for_ms, 20):
            loud = any(start <= at_ms < end for start, end in talks or [])
            level = SPEECH_DBOV if loud else QUIET_DBOV
            loop.call_at(start_s + at_ms / 1000, transport.send, SILENCE, level)
        over = asyncio.Event()
        loop.call_at(start_s + for_ms / 1000, over.set)
        await over.wait()
        await transport.close()
        then(transport)
        return line

    return run_virtually(call())


def test_an_agent_greets_when_it_is_told_to() -> None:
    """Silence first, then the greeting, 20 ms a packet, then silence again."""
    heard = listen(LoopbackAgent(greeting=words("hello", 3), greets_after_ms=400), for_ms=1000)
    assert heard.spoken() == [(400, "hello0"), (420, "hello1"), (440, "hello2")]
    assert len(heard.packets) == 50


def test_replies_follow_the_callers_last_sound() -> None:
    """Counted from the last audible packet; each turn gets the next reply, the last one again."""
    agent = LoopbackAgent(replies=(words("a", 1), words("b", 1)), reply_after_ms=(300, 500))
    heard = listen(agent, talks=[(0, 200), (1000, 1200), (2000, 2200)])
    assert heard.spoken() == [(480, "a0"), (1680, "b0"), (2680, "b0")]


def test_a_short_noise_is_no_turn() -> None:
    """One loud packet is a click."""
    agent = LoopbackAgent(replies=(words("a"),))
    assert listen(agent, talks=[(0, 40)]).spoken() == []


def test_an_agent_stops_when_spoken_over() -> None:
    """It yields after its time, and takes the interruption as a turn."""
    agent = LoopbackAgent(
        greeting=words("long", 200),
        replies=(words("ok", 1),),
        greets_after_ms=0,
        reply_after_ms=400,
    )
    spoken = listen(agent, talks=[(1000, 1600)], for_ms=3000).spoken()
    assert spoken[-1] == (1980, "ok0")
    assert 1260 <= spoken[-2][0] <= 1300


def test_an_agent_may_ignore_the_caller() -> None:
    """With no stop time it speaks to its end."""
    agent = LoopbackAgent(greeting=words("long", 100), greets_after_ms=0, stops_after_ms=None)
    assert len(listen(agent, talks=[(500, 1500)]).spoken()) == 100


def test_replies_can_run_out() -> None:
    """An agent that stops answering."""
    agent = LoopbackAgent(replies=(words("a", 1),), reply_after_ms=100, max_replies=1)
    assert listen(agent, talks=[(0, 200), (1000, 1200)]).spoken() == [(280, "a0")]


def test_an_agent_may_speak_out_of_turn() -> None:
    """At set times, whatever the caller does."""
    agent = LoopbackAgent(replies=(words("a", 2),), speaks_at_ms=((300, 0),), max_replies=0)
    assert listen(agent, talks=[(0, 250)]).spoken() == [(300, "a0"), (320, "a1")]


def test_an_agent_leaves_at_its_time_or_after_its_last_word() -> None:
    """Both kinds of hanging up, to the frame."""
    assert listen(LoopbackAgent(leaves_at_ms=700)).left_ms == 700
    agent = LoopbackAgent(replies=(words("a", 5),), reply_after_ms=100, leaves_after_replies=1)
    heard = listen(agent, talks=[(0, 200)])
    assert heard.left_ms == 360
    assert heard.spoken()[-1][1] == "a4"


def test_a_frozen_agent_stays_and_sends_nothing() -> None:
    """Packets end, the connection does not."""
    heard = listen(LoopbackAgent(greeting=words("a", 100), greets_after_ms=0, freezes_at_ms=500))
    assert len(heard.packets) == 25
    assert heard.left == []


def test_an_agent_that_sends_no_silence_lets_rtp_time_stand_still() -> None:
    """As Pipecat bots without automatic silence do."""
    agent = LoopbackAgent(
        greeting=words("a", 2),
        greets_after_ms=100,
        replies=(words("b", 2),),
        speaks_at_ms=((1000, 0),),
        sends_silence=False,
    )
    packets = listen(agent).packets
    first = packets[0].timestamp
    assert [(p.timestamp - first) & 0xFFFFFFFF for p in packets] == [0, 960, 1920, 2880]
    assert packets[2].arrived_ns - packets[1].arrived_ns > 800_000_000


def test_reports_come_with_the_speech() -> None:
    """Text when it was played to its end, none when it was cut."""
    agent = LoopbackAgent(greeting=words("hello", 5), greets_after_ms=100, reports=True)
    heard = listen(agent)
    assert [(r.kind, r.text) for r in heard.reports] == [
        ("event", "bot-started-speaking"),
        ("said", "hello"),
        ("event", "bot-stopped-speaking"),
    ]
    cut = LoopbackAgent(greeting=words("hello", 100), greets_after_ms=0, reports=True)
    assert "said" not in {r.kind for r in listen(cut, talks=[(200, 900)]).reports}


def test_delay_moves_both_ways() -> None:
    """The agent hears later, and is heard later."""
    agent = LoopbackAgent(replies=(words("a", 1),), reply_after_ms=300)
    way = Path(delay_ms=40)
    assert listen(agent, talks=[(0, 200)], up=way, down=way).spoken() == [(560, "a0")]


def test_loss_is_counted_and_repeats_with_its_seed() -> None:
    """The same seed loses the same packets; named ones are lost for certain."""
    lost: list[int] = []

    def remember(transport: LoopbackTransport) -> None:
        lost.append(transport.statistics().packets_lost)

    way = Path(loss=0.1, seed=3)
    runs = [listen(LoopbackAgent(), down=way, then=remember) for _ in range(2)]
    assert [p.sequence for p in runs[0].packets] == [p.sequence for p in runs[1].packets]
    assert lost[0] == lost[1]
    assert 5 <= lost[0] <= 30
    listen(LoopbackAgent(), down=Path(lost=frozenset({3, 4})), then=remember)
    assert lost[2] == 2


def test_jitter_shows_in_the_statistics() -> None:
    """A path that jitters is measured as one, and arrivals still rise."""
    found: list[float] = []

    def remember(transport: LoopbackTransport) -> None:
        found.append(transport.statistics().jitter_ms)

    heard = listen(LoopbackAgent(), down=Path(jitter_ms=30), then=remember)
    listen(LoopbackAgent(), then=remember)
    arrivals = [packet.arrived_ns for packet in heard.packets]
    assert arrivals == sorted(arrivals)
    assert found[0] > 5
    assert found[1] < 0.001
