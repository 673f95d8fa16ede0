"""The faults: what each is, whose, the plan that meets it, and what is broken meanwhile.

Owns the plans of one short call; what a fault comes to is found by running it (`page`).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from shared.plan import RunPlan
from shared.state.runs import RunRecord, cancel_run, start_run
from shared.state.submissions import run_id
from tests.faults.small_fleet import SmallFleet
from tests.faults.strangers import Strangers

Tree = dict[str, Any]
Deed = Callable[[SmallFleet, str], Awaitable[None]]
LIMITS: Tree = {"call_s": 25, "connect_s": 4, "first_audio_s": 4, "media_gap_s": 2, "retries": 3}
WAIT: Tree = {"wait_for_agent": {}}
SAY: Tree = {"say": "A table please."}
BYE: Tree = {"hang_up": {}}
SHORT = (WAIT, SAY, BYE)
TURN = (WAIT, SAY, WAIT, BYE)
UNKNOWN_FILE = "sha256:" + "0" * 64
BROKEN_FILE = b"RIFF, and then nothing that is sound" * 20


ATTEMPTS = range(1, 60)
"""A call that no worker takes in time is admitted anew under the next number."""


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. `before` happens ahead of the submission, `meanwhile` once the call talks."""

    name: str
    whose: str
    """`agent`, `network`, `fleet` or `plan`; `nobody` for what must do no harm."""
    plan: Tree
    before: Deed | None = None
    meanwhile: Deed | None = None
    submits: bool = True
    """False: `before` starts the run itself."""


def plan_for(endpoint: Mapping[str, Any] | str, *script: Tree, **changes: Any) -> Tree:
    """A plan of one call; `persona`, `scenario` and `limits` are laid over the usual ones."""
    if isinstance(endpoint, str):
        endpoint = {"offer_url": endpoint}
    persona = {"name": "calm", "idle_after_s": 2, "gives_up_after": 1} | changes.get("persona", {})
    return {
        "version": 1,
        "name": "fault",
        "agents": [{"name": "bot", "smallwebrtc": dict(endpoint)}],
        "personas": [persona],
        "scenarios": [
            {"name": "short", "script": list(script or SHORT), **changes.get("scenario", {})}
        ],
        "limits": LIMITS | changes.get("limits", {}),
    }


def of_agents(urls: Mapping[str, str]) -> list[Planted]:
    """`urls`: the example agent's offer URL for each of its faults, `healthy` among them."""
    over = (
        WAIT,
        SAY,
        {"say": "At seven please, for Miller.", "interrupt_after_ms": 500},
        WAIT,
        BYE,
    )
    patient = {"persona": {"idle_after_s": 8}}

    def checked(measure: str, most: float) -> Tree:
        return {"scenario": {"checks": [{measure: {"max": most}}]}}

    cases: dict[str, Tree] = {
        "never-speaks": plan_for(urls["never-speaks"]),
        "deaf": plan_for(urls["deaf"], *TURN),
        "hangs-up-early": plan_for(urls["hangs-up-early"], WAIT, SAY, WAIT, SAY, WAIT, SAY, BYE),
        "freezes": plan_for(urls["freezes"], WAIT, SAY, WAIT, SAY, WAIT, BYE),
        "refuses-offer": plan_for(urls["refuses-offer"]),
        "answers-without-audio": plan_for(urls["answers-without-audio"]),
        "slow-reply": plan_for(
            urls["slow-reply"], *TURN, **patient, **checked("response_latency_ms", 2500)
        ),
        "ignores-barge-in": plan_for(
            urls["ignores-barge-in"], *over, **checked("barge_in_stop_ms", 1000)
        ),
        "clipped-audio": plan_for(urls["clipped-audio"], **checked("clipped_percent", 1)),
        "lost-packets": plan_for(urls["lost-packets"], *TURN, **checked("packet_loss_percent", 2)),
    }
    return [
        Planted(
            name=f"example agent: {name}",
            whose="network" if name == "lost-packets" else "agent",
            plan=plan,
        )
        for name, plan in cases.items()
    ]


def of_strangers(strange: Strangers) -> list[Planted]:
    """What happens before media: HTTP, SDP, ICE, names and addresses."""
    agents = {
        "the offer gets HTTP 500": "server-error",
        "the offer is redirected, without end": "redirects",
        "the answer is binary nonsense": "garbage-body",
        "the answer's SDP is nonsense": "garbage-sdp",
        "the answer has no media section": "no-media",
        "the answer is 100 MB long": "huge-body",
        "the offer is never answered": "never-answers",
        "the answer drips in byte by byte": "slow-drip",
        "the connection is cut within the answer": "cuts-off",
        "the answer has 50,000 candidates": "countless-candidates",
    }
    network = {
        "nobody is at the answer's addresses": "dead-addresses",
        "90 candidates lead nowhere": "some-candidates",
        "the answer has no candidate": "no-candidates",
    }
    starts = {
        "the start request gets HTTP 403": "start-refused",
        "the start answer has no session": "start-without-session",
        "the session never gets ready": "never-ready",
    }
    urls = {
        "nothing listens at the port": strange.closed,
        "the name does not resolve": "http://nobody.invalid/api/offer",
        "the certificate is not trusted": strange.tls,
    }
    found = [("agent", name, strange.url(path)) for name, path in agents.items()]
    found += [("network", name, strange.url(path)) for name, path in network.items()]
    found += [("network", name, url) for name, url in urls.items()]
    cases = [Planted(name=n, whose=w, plan=plan_for(url)) for w, n, url in found]
    return cases + [
        Planted(name=name, whose="agent", plan=plan_for({"start_url": strange.start(path)}))
        for name, path in starts.items()
    ]


def of_plans(url: str) -> list[Planted]:
    """What only the author of a plan, or the operator of a fleet, can put right."""

    def with_header(text: str) -> Tree:
        return plan_for({"offer_url": url, "headers": {"Authorization": text}})

    return [
        Planted(name="a secret is not set", whose="plan", plan=with_header("${ABSENT}")),
        Planted(
            name="a secret is bound to other hosts", whose="plan", plan=with_header("${BOUND}")
        ),
        Planted(name="a secret has a line break", whose="plan", plan=with_header("${BROKEN}")),
        Planted(
            name="the endpoint is a metadata service",
            whose="plan",
            plan=plan_for("http://169.254.169.254/api/offer"),
        ),
        Planted(
            name="the run is cancelled in mid-call",
            whose="plan",
            plan=plan_for(url, WAIT, SAY, WAIT, {"silence": 10}, BYE),
            meanwhile=_cancel,
        ),
        Planted(
            name="the call reaches its time limit",
            whose="agent",
            plan=plan_for(url, WAIT, SAY, WAIT, SAY, WAIT, SAY, BYE, limits={"call_s": 4}),
        ),
        Planted(
            name="the stored plan cannot be read by the worker",
            whose="plan",
            plan=plan_for(url),
            before=_unreadable,
            submits=False,
        ),
    ]


def of_disks(url: str) -> list[Planted]:
    """Faults of our own parts that touch one call: voices, files, disks, storage."""
    once: Tree = {"limits": {"retries": 0}}
    play = {"play": UNKNOWN_FILE}
    broken = {"play": f"sha256:{hashlib.sha256(BROKEN_FILE).hexdigest()}"}
    odd: Tree = {"persona": {"voice": "klingon"}}
    return [
        Planted(name="the voice is unknown", whose="fleet", plan=plan_for(url, **once, **odd)),
        Planted(
            name="a sound file is not in storage",
            whose="fleet",
            plan=plan_for(url, WAIT, play, BYE, **once),
        ),
        Planted(
            name="a sound file is broken",
            whose="fleet",
            plan=plan_for(url, WAIT, broken, BYE, **once),
            before=_store_broken_file,
        ),
        Planted(
            name="the disk is full: packets",
            whose="fleet",
            plan=plan_for(url, **once),
            before=_full("packets.spool"),
        ),
        Planted(
            name="the disk is full: recording",
            whose="fleet",
            plan=plan_for(url, **once),
            before=_full("recording.opus"),
        ),
        Planted(
            name="the spool folder cannot be made",
            whose="fleet",
            plan=plan_for(url, **once),
            before=_no_folder,
        ),
        Planted(
            name="storage refuses the results",
            whose="fleet",
            plan=plan_for(url, **once),
            before=_no_storage,
        ),
    ]


async def _cancel(fleet: SmallFleet, run: str) -> None:
    await cancel_run(fleet.redis, run)


async def _unreadable(fleet: SmallFleet, run: str) -> None:
    """As a newer scheduler's plan looks to an older worker."""
    plan = msgspec.convert({"version": 1, "name": "fault", **_BARE}, RunPlan)
    await start_run(fleet.redis, run, plan, b'{"version": 2}', RunRecord(name="fault"))


_BARE: Tree = {
    "agents": [{"name": "bot", "smallwebrtc": {"offer_url": "http://127.0.0.1:9/api/offer"}}],
    "personas": [{"name": "calm"}],
    "scenarios": [{"name": "short", "script": [{"type": "hang_up"}]}],
}


async def _store_broken_file(fleet: SmallFleet, _: str) -> None:
    await fleet.storage.put(f"assets/{hashlib.sha256(BROKEN_FILE).hexdigest()}", BROKEN_FILE)


def _full(name: str) -> Deed:
    async def plant(fleet: SmallFleet, run: str) -> None:
        for attempt in ATTEMPTS:
            folder = fleet.spool_of(run, attempt)
            folder.mkdir(parents=True)
            (folder / name).symlink_to("/dev/full")

    return plant


async def _no_folder(fleet: SmallFleet, run: str) -> None:
    for attempt in ATTEMPTS:
        place = fleet.spool_of(run, attempt)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("in the way")


async def _no_storage(fleet: SmallFleet, run: str) -> None:
    place = fleet.results / "runs" / run / "calls" / "0"
    place.mkdir(parents=True)
    for attempt in ATTEMPTS:  # nothing can be written there, and nothing is found
        (place / str(attempt)).symlink_to("/proc/nowhere/at-all")


async def meet(fleet: SmallFleet, planted: Planted) -> Any:
    """Submit the plan, break what is to be broken; the call's row."""
    name = hashlib.sha256(planted.name.encode()).hexdigest()[:12]
    run = run_id(name, None)
    if planted.before is not None:
        await planted.before(fleet, run)
    if planted.submits:
        run = await fleet.run(name, planted.plan)
    if planted.meanwhile is not None:
        await fleet.running(run)
        await planted.meanwhile(fleet, run)
    return await fleet.row(run)


def shared_clips(folder: Path) -> Path:
    """One cache for all fleets, so that each sentence is made once."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
