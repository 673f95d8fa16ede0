"""What is said of a call and of a run: the records that storage keeps and people read.

All `_ms` are milliseconds from the moment the call's media connected, on one monotonic clock,
unless a field says otherwise. Measures and their sources are defined in `worker.measure`.
"""

from __future__ import annotations

import msgspec

from shared.call import CallStage, EndedReason, Owner, RunState, Step, Validity, Verdict

STATS = ("min", "mean", "p50", "p90", "p95", "p99", "max", "count")


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """One value per turn (raw values kept) with its statistics; percentiles by nearest rank.

    A statistic is None while `n` is too small for it: p95 needs 20 values, p99 needs 100.
    """

    values: list[float] = []
    n: int = 0
    min: float | None = None
    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller would have heard. None: there was nothing to measure it on."""

    time_to_first_word_ms: float | None = None
    response_latency_ms: Distribution = Distribution()
    no_response: int | None = None
    barge_in_stop_ms: Distribution = Distribution()
    barge_in_ignored: int | None = None
    barge_in_natural_end: int | None = None
    """Interruptions after which the agent ended too soon (160 ms) for it to be a reaction."""
    agent_interruptions: int | None = None
    overlap_ms: float | None = None
    dead_air_ms: Distribution = Distribution()
    """Stretches over 3 s in which neither side spoke."""
    longest_silence_ms: float | None = None
    talk_ratio: float | None = None
    """Agent's share of all speech, 0 to 1."""
    agent_turns: int | None = None
    agent_level_dbfs: float | None = None
    agent_peak_dbfs: float | None = None
    clipped_percent: float | None = None
    """Share of the agent's spoken samples that lie in runs of three or more at full scale."""
    dropouts_per_min: float | None = None
    packet_loss_percent: float | None = None
    jitter_ms: float | None = None
    """Interarrival jitter of RFC 3550, section 6.4.1, at the end of the call."""
    idle_prompts: int | None = None


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One step that was tried. `started_ms` counts from the start of the attempt."""

    name: Step
    started_ms: float
    took_ms: float
    outcome: str
    """`ok` or `failed`."""
    detail: str | None = None


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of speech by one side."""

    who: str
    """`caller` or `agent`."""
    kind: str
    """`turn`, `interrupt`, `idle_prompt` or `clip`; always `turn` for the agent."""
    start_ms: float
    end_ms: float
    text: str | None = None
    text_from: str | None = None
    """`script` (exact), `agent` (its own report) or None."""
    cut: bool = False
    """The caller stopped before its words were out."""


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome` is pass, fail or error; a check without evidence is an error, never pass or
    fail.
    """

    name: str
    outcome: str
    detail: str = ""
    value: float | None = None


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """Stereo, left caller, right agent. `key` is relative to the run's folder."""

    key: str
    format: str
    duration_ms: float
    bytes: int
    sha256: str
    transcoded: bool = False
    """True where the agent's packets could not be kept as they came."""


class HostPressure(msgspec.Struct, frozen=True, kw_only=True):
    """What the host kept from us during the call; per cent of the call's time.

    None: the kernel does not say.
    """

    waited_percent: float | None = None
    """Our loop's thread was ready to run and another one had the core (schedstat)."""
    stolen_percent: float | None = None
    """The hypervisor gave the host's cores to others (`/proc/stat`)."""
    throttled_percent: float | None = None
    """Our cgroup had used up its quota (cgroup v2 `cpu.stat`)."""
    cpu_pressure_percent: float | None = None
    """Somebody on the host waited for a core (PSI `some`); said, and voids nothing by itself."""


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """How well our own side worked during the call; decides validity, never the verdict."""

    worker: str = ""
    send_lateness_p50_ms: float | None = None
    send_lateness_p99_ms: float | None = None
    send_lateness_max_ms: float | None = None
    loop_lag_max_ms: float | None = None
    """Longest pause between two frames beyond the 20 ms that belong there."""
    host: HostPressure | None = None
    """None: no conversation was held, or the host has no such counters."""
    packets_planned: int = 0
    """One per 20 ms of conversation, those that a stall swallowed included."""
    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    speech_packets_planned: int = 0
    """Packets of utterances that were begun and not cut."""
    speech_packets_sent: int = 0
    lines_planned: int = 0
    """Lines of the script that have to be heard before the caller may hang up."""
    lines_said: int = 0
    caller_channel_ms: float | None = None
    """Length of what we sent, by its packets; as long as the call where nothing is missing."""
    agent_channel_ms: float | None = None
    """Length of the agent's side as it was laid on the call's clock."""
    speech_detector: str = ""
    alignment_error_ms: float = 20.0
    """Stated bound of the recording's alignment between the two channels."""
    latency_clock: str = "socket"
    """Where a latency's two ends are taken: at our own UDP socket, before any playout buffer."""
    versions: dict[str, str] = {}


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the agent itself reported. `kind`: said, heard, tool_call, error, event."""

    at_ms: float
    kind: str
    text: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the agent reported of itself; taken where offered, never required."""

    source: str | None = None
    """`rtvi`, or None when the agent reported nothing."""
    reported: list[Reported] = []
    dropped: int = 0
    """Reports beyond the bound of 2000 that were counted and not kept."""

    def said(self) -> list[Reported]:
        """The agent's own texts, in order."""
        return [report for report in self.reported if report.kind == "said"]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One choice of the caller's chance or script, and the clip it led to.

    The sequence of decisions without `at_ms` is a function of plan and seed alone.
    """

    step: int
    what: str
    clip: str | None = None
    """Content hash of the clip."""


class CallResult(msgspec.Struct, frozen=True, kw_only=True):
    """One call, whole. Stored as `calls/<index>/<attempt>/call.json` and as a row of
    calls.jsonl.
    """

    run: str
    index: int
    attempt: int
    seed: int
    agent: str
    scenario: str
    persona: str
    repetition: int
    stage: CallStage
    ended_reason: EndedReason
    failure_owner: Owner | None
    validity: Validity
    verdict: Verdict
    failed_step: Step | None = None
    detail: str = ""
    """One sentence for people, free of secrets."""
    void_reasons: list[str] = []
    agent_id: str | int | None = None
    scenario_id: str | int | None = None
    join_keys: dict[str, str] = {}
    """What ties this call to the agent's own logs: `pc_id`, `session_id`, room name and sid."""
    started_at: str = ""
    """UTC wall clock at the start of the attempt, ISO 8601."""
    connected_at: str | None = None
    """UTC wall clock at 0 ms, ISO 8601."""
    duration_ms: float = 0.0
    """From media connected to hang-up."""
    steps: list[StepRecord] = []
    turns: list[Turn] = []
    measures: Measures = Measures()
    checks: list[CheckResult] = []
    recording: Recording | None = None
    instrument: Instrument = Instrument()
    evidence: Evidence = Evidence()
    decisions: list[Decision] = []
    earlier_attempts: list[str] = []
    """How each earlier attempt ended (ended reasons), oldest first."""


class Winner(msgspec.Struct, frozen=True, kw_only=True):
    """Marker `calls/<index>/winner.json`: the attempt that was committed."""

    attempt: int


class ThresholdResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run threshold, judged."""

    name: str
    outcome: str
    value: float | None = None
    bound: str = ""
    detail: str = ""


class RunCounts(msgspec.Struct, frozen=True, kw_only=True):
    """`planned = passed + failed + unjudged + void + missing`."""

    planned: int = 0
    passed: int = 0
    failed: int = 0
    unjudged: int = 0
    """Valid calls of which a check was an error."""
    void: int = 0
    missing: int = 0
    """Planned, and never run (a cancelled run)."""
    retried: int = 0
    """Calls that took more than one attempt."""


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """`run.json`: what a run came to."""

    run: str
    name: str
    state: RunState
    verdict: Verdict
    why: list[str] = []
    """Sentences that lead to the verdict."""
    counts: RunCounts = RunCounts()
    ended_reasons: dict[str, int] = {}
    failure_owners: dict[str, int] = {}
    thresholds: list[ThresholdResult] = []
    measures: dict[str, Distribution] = {}
    """Over all turns of all valid calls, without raw values."""
    labels: dict[str, str] = {}
    seed: int = 0
    expansion: int = 1
    """Version of `shared.expansion.call_at` that laid the calls out."""
    plan_sha256: str = ""
    submitted_at: str = ""
    finished_at: str = ""
