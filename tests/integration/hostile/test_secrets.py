"""Secrets go to the agent and nowhere else, whatever the agent does with them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.faults.planted import BYE, SAY, plan_for
from tests.faults.small_fleet import ROOT, SmallFleet, everything_in, small_fleet
from tests.integration.hostile.echoes import EchoServer, echo_server, forms

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SECRETS = {
    "TOKEN": 'tok/En+77 "quoted\\" <x>&=%41zZ',
    "TENANT": 'pässwörd\n"zwei"/Zeilen+?\U0001f4de',
    "PLAIN": "sk-live-0123456789abcdefABCDEF",
}
OFFERS = (
    "error-body", "long-error-body", "json-error-body", "location", "status-line", "sdp",
    "channel", "peer-name",
)  # fmt: skip
STARTS = ("start-refused", "session")


def _plan(server: EchoServer) -> dict[str, Any]:
    """One lane for each place of the echo."""
    told: dict[str, Any] = {
        "headers": {"Authorization": "Bearer ${TOKEN}"},
        "request_data": {"tenant": "${TENANT}", "key": "${PLAIN}"},
    }
    persona = {"speaks_first": "caller", "idle_after_s": 3}
    plan = plan_for(server.url, SAY, {"silence": 2}, BYE, persona=persona)
    places: dict[str, dict[str, Any]] = {
        name: {"offer_url": f"{server.url}/{name}/api/offer"} for name in OFFERS
    }
    places |= {
        name: {"start_url": f"{server.url}/{name}/start", "start_body": {"body": {"k": "${PLAIN}"}}}
        for name in STARTS
    }
    plan["agents"] = [
        {"name": name, "smallwebrtc": {**place, **told}} for name, place in places.items()
    ]
    plan["limits"]["retries"] = 0
    return plan


async def _commands(fleet: SmallFleet, plan: Path, out: Path) -> bytes:
    """`run`, then `show`: all that they say."""
    environ = {
        **os.environ,
        "PHONEBANK_REDIS_URL": fleet.url,
        "PHONEBANK_STORAGE_URL": f"file://{fleet.results}",
        "PHONEBANK_DATA_DIR": str(fleet.data),
        "PYTHONUNBUFFERED": "1",
    }
    words = ("--debug", "run", str(plan), "--out", str(out), "--junit", str(out / "junit.xml"))
    said = await _said(words, environ)
    assert (out / "run.json").exists(), said.decode()
    run = json.loads((out / "run.json").read_text())["run"]
    return said + await _said(("show", run), environ) + await _said(("runs",), environ)


async def _said(words: tuple[str, ...], environ: Mapping[str, str]) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "phonebank", *words),
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return said


async def test_no_secret_is_found_anywhere_after_a_run(tmp_path: Path) -> None:
    """Redis with its log, logs at debug, storage, results, output: in no form that is searched."""
    environ = {f"PHONEBANK_SECRET_{name}": value for name, value in SECRETS.items()}
    environ["PHONEBANK_LOG_LEVEL"] = "debug"
    plan = tmp_path / "plan.json"
    out = tmp_path / "out"
    out.mkdir()
    async with echo_server() as server, small_fleet(tmp_path / "fleet", environ) as fleet:
        plan.write_text(json.dumps(_plan(server)))
        said = await _commands(fleet, plan, out)
        held = {"Redis": await everything_in(fleet.redis), "output": said}
        held |= _files(fleet.folder) | _files(out) | _files(fleet.home)
        calls = server.calls
    assert calls >= len(OFFERS)
    rows = [json.loads(line) for line in (out / "calls.jsonl").read_text().splitlines()]
    assert len(rows) == len(OFFERS) + len(STARTS)
    texts = [
        report["text"] for row in rows for report in row.get("evidence", {}).get("reported", [])
    ]
    assert any("[TOKEN]" in text for text in texts), "the echo was never heard"
    assert any("[PLAIN]" in text for text in texts)
    found = [
        f"{name} in {place}: …{data[max(0, at - 60) : at + 60]!r}"
        for name, secret in SECRETS.items()
        for form in forms(secret)
        for place, data in held.items()
        if (at := data.find(form.encode())) >= 0
    ]
    assert not found, "\n".join(found[:20])


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
