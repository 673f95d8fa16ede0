"""Every metric of phonebank, as verbs. Owns names, units and buckets; labels are bounded.

A label is never a run, a call or free text. Callers say what happened (`call_ended(...)`), never
`.labels(...)`. Health is answered by a thread that reads the age of the loop's heartbeat, so that a
hung loop fails its probe.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.exposition import make_wsgi_app

from shared.call import REASONS, EndedReason, Owner, Step
from shared.errors import CommandError
from shared.result import CallResult

SETUP_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20)
RESPONSE_S = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1, 1.25, 1.5, 2, 3, 5, 8)
LATENESS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
WAIT_S = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)

_started = Counter("phonebank_calls_started_total", "How many call attempts began?")
_ended = Counter(
    "phonebank_calls_ended_total", "How many call attempts ended, and why?", ["reason", "owner"]
)
_running = Gauge("phonebank_calls_running", "How many calls does this process hold?")
_slots = Gauge("phonebank_slots", "How many calls may this process hold?")
_call_seconds = Counter("phonebank_call_seconds_total", "How much conversation was held?")
_setup = Histogram(
    "phonebank_setup_seconds", "How long did a step before talking take?", ["step"], buckets=SETUP_S
)
_first_word = Histogram(
    "phonebank_time_to_first_word_seconds", "When did agents first speak?", buckets=RESPONSE_S
)
_response = Histogram(
    "phonebank_response_latency_seconds", "How fast did agents answer?", buckets=RESPONSE_S
)
_barge_in = Histogram(
    "phonebank_barge_in_stop_seconds", "How fast did agents stop when spoken over?",
    buckets=RESPONSE_S,
)  # fmt: skip
_lateness = Histogram(
    "phonebank_send_lateness_seconds", "How late did our own packets leave?", buckets=LATENESS_S
)
_busy = Gauge("phonebank_loop_busy_share", "Which share of a core does the media loop use?")
_queue = Gauge("phonebank_queue_depth", "How many admitted calls wait for a worker?")
_wait = Histogram(
    "phonebank_admission_wait_seconds", "How long did a call wait between admission and claim?",
    buckets=WAIT_S,
)  # fmt: skip
_uploads = Counter("phonebank_uploads_total", "How many uploads ended, and how?", ["outcome"])
_upload_bytes = Counter("phonebank_upload_bytes_total", "How much was uploaded?")
_renewals = Counter("phonebank_lease_renewals_total", "How did lease renewals end?", ["outcome"])
_runs = Counter("phonebank_runs_finished_total", "How did runs end?", ["verdict"])
_submissions = Counter("phonebank_submissions_total", "How were submissions answered?", ["outcome"])

for _reason, _facts in REASONS.items():  # rate() needs the zero before the first event
    _ended.labels(_reason.value, _facts.owner.value if _facts.owner else "none")


def call_started(slots_in_use: int) -> None:
    """An attempt was claimed."""
    _started.inc()
    _running.set(slots_in_use)


def call_ended(result: CallResult, slots_in_use: int) -> None:
    """An attempt ended, whoever is to blame."""
    reason: EndedReason = result.ended_reason
    owner: Owner | None = result.failure_owner
    _ended.labels(reason.value, owner.value if owner else "none").inc()
    _running.set(slots_in_use)
    _call_seconds.inc(result.duration_ms / 1000)
    for step in result.steps:
        if step.name is not Step.CONVERSATION:
            _setup.labels(step.name.value).observe(step.took_ms / 1000)
    measures = result.measures
    if measures.time_to_first_word_ms is not None:
        _first_word.observe(measures.time_to_first_word_ms / 1000)
    for value in measures.response_latency_ms.values:
        _response.observe(value / 1000)
    for value in measures.barge_in_stop_ms.values:
        _barge_in.observe(value / 1000)


def packet_sent_late(lateness_s: float) -> None:
    """One packet left this long after its slot."""
    _lateness.observe(lateness_s)


def slots_offered(slots: int) -> None:
    """This process may hold so many calls."""
    _slots.set(slots)


def loop_busy(share: float) -> None:
    """Share of one core that the media loop's thread used lately."""
    _busy.set(share)


def queue_depth(waiting: int) -> None:
    """So many calls are admitted and unclaimed."""
    _queue.set(waiting)


def call_waited(seconds: float) -> None:
    """A call was claimed so long after it was admitted."""
    _wait.observe(seconds)


def uploaded(size_bytes: int) -> None:
    """An object reached storage."""
    _uploads.labels("ok").inc()
    _upload_bytes.inc(size_bytes)


def upload_failed() -> None:
    """An object did not reach storage."""
    _uploads.labels("failed").inc()


def leases_renewed(held: int, lost: int) -> None:
    """One batch of renewals came back."""
    _renewals.labels("held").inc(held)
    _renewals.labels("lost").inc(lost)


def run_finished(verdict: str) -> None:
    """A run was judged."""
    _runs.labels(verdict).inc()


def submission_answered(outcome: str) -> None:
    """A submission was `accepted` or `refused`."""
    _submissions.labels(outcome).inc()


class Heartbeat:
    """When the event loop last showed a sign of life, readable from any thread."""

    def __init__(self, limit_s: float = 10.0) -> None:
        self._limit_s = limit_s
        self._beat_s = time.monotonic()

    def beat(self) -> None:
        """The loop is alive now."""
        self._beat_s = time.monotonic()

    @property
    def age_s(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._beat_s

    @property
    def is_alive(self) -> bool:
        """Whether the last beat is recent enough."""
        return self.age_s < self._limit_s


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Scrapes are not worth a log line."""


@contextmanager
def serve_metrics(host: str, port: int | None, heartbeat: Heartbeat) -> Iterator[int | None]:
    """Serve `/metrics` and `/healthz` from a thread; yields the port, or None when `port` is
    None. Raises `CommandError` for a port that cannot be had.
    """
    if port is None:
        yield None
        return
    try:
        server = make_server(
            host, port, _application(heartbeat), WSGIServer, handler_class=_QuietHandler
        )
    except OSError as error:
        reason = error.strerror or error
        raise CommandError(f"PHONEBANK_METRICS_PORT: {host}:{port}: {reason}") from None
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _application(heartbeat: Heartbeat) -> Callable[..., list[bytes]]:
    metrics = make_wsgi_app(REGISTRY)

    def application(
        environ: dict[str, object], start_response: Callable[..., object]
    ) -> list[bytes]:
        if environ.get("PATH_INFO") != "/healthz":
            return list(metrics(environ, start_response))
        status = "200 OK" if heartbeat.is_alive else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain")])
        return [f"loop heartbeat {heartbeat.age_s:.1f} s ago\n".encode()]

    return application
