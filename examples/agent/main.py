"""The example agent: a restaurant that takes bookings over SmallWebRTC. Owns the process.

    python examples/agent/main.py --port 7860
    python examples/agent/main.py --port 0 --fault ignores-barge-in

It prints `listening on http://127.0.0.1:PORT/api/offer` when it can be called, and ends on SIGINT,
SIGTERM, or when the pipe whose read end is PHONEBANK_PARENT_FD closes (its parent is gone).
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import os
import signal

import aioice.ice
from aiohttp import web
from dialogue import ALL_LINES
from faults import SENTENCES, Fault
from server import Server
from session import Lines
from voice import Voice, louder, packets, silence


def main() -> None:
    """Read the command line and serve until told to stop."""
    options = read_options()
    if options.list_faults:
        for fault, sentence in SENTENCES.items():
            print(f"{fault:<22} {sentence}")
        return
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING)
    for chatty in ("aioice", "aiortc"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    asyncio.run(serve(options))


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="A voice agent to try phonebank on.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7860, help="0 picks a free one")
    parser.add_argument("--fault", type=Fault, choices=list(Fault), help="one thing to do wrong")
    parser.add_argument("--list-faults", action="store_true", help="name the faults and exit")
    parser.add_argument("--seed", type=int, default=0, help="source of all chance")
    parser.add_argument("--verbose", action="store_true", help="a line on stderr for each call")
    return parser.parse_args()


async def serve(options: argparse.Namespace) -> None:
    """Answer calls until a signal, or the end of the parent, says stop."""
    stop = stop_event()
    if ipaddress.ip_address(options.host).is_loopback:
        stay_on_this_host(options.host)
    async with Server(speak_lines(options.fault), options.fault, options.seed) as server:
        runner = web.AppRunner(server.app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, options.host, options.port).start()
            host, port = runner.addresses[0][:2]
            print(f"listening on http://{host}:{port}/api/offer", flush=True)
            await stop.wait()
        finally:
            await runner.cleanup()


def speak_lines(fault: Fault | None) -> Lines:
    """Every line of the dialogue as Opus packets, and silence under the empty text."""
    voice = Voice()
    lines = {"": [silence()]}
    for text in ALL_LINES:
        samples = voice.speak(text)
        if fault is Fault.CLIPPED_AUDIO:
            samples = louder(samples, gain_db=40)
        lines[text] = packets(samples, voice.hz)
    return lines


def stay_on_this_host(address: str) -> None:
    """Offer this loopback address for media.

    aioice never offers loopback by itself, so two programs on a machine without a network would not
    find each other; and what listens on loopback has no business on other interfaces.
    """

    def only_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:  # noqa: ARG001 - aioice's
        return [address]

    aioice.ice.get_host_addresses = only_loopback


def stop_event() -> asyncio.Event:
    """An event that SIGINT, SIGTERM and the closing of the parent's pipe set."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    parent = os.environ.get("PHONEBANK_PARENT_FD")
    if parent is not None:
        pipe = int(parent)

        def readable() -> None:
            if not os.read(pipe, 1024):
                loop.remove_reader(pipe)
                stop.set()

        loop.add_reader(pipe, readable)
    return stop


if __name__ == "__main__":
    main()
