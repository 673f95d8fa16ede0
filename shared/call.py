"""What a call can be: its stages, steps, reasons and owners, and the seed of its chance.

The six state fields of a result are separate types on purpose: run state, call stage, ended reason,
failure owner, validity, verdict. Nothing here knows Redis, audio or WebRTC.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec


class RunState(StrEnum):
    """Life of one submission of a plan."""

    RUNNING = "running"
    FINISHING = "finishing"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class CallStage(StrEnum):
    """How far a call came."""

    CONNECTING = "connecting"
    TALKING = "talking"
    ENDING = "ending"
    DONE = "done"


class Step(StrEnum):
    """The named steps of a call; each has its own limit and recorded time."""

    CONFIG = "config"
    CREDENTIALS = "credentials"
    CLIPS = "clips"
    CALLBACK = "callback"
    ROOM = "room"
    DISPATCH = "dispatch"
    SIGNALLING = "signalling"
    ICE = "ice"
    AGENT_JOIN = "agent_join"
    FIRST_AUDIO = "first_audio"
    CONVERSATION = "conversation"
    RECORDING = "recording"
    UPLOAD = "upload"
    LEASE = "lease"


class Owner(StrEnum):
    """Whose failure it is; only the agent's count against the agent."""

    FLEET = "fleet"
    AGENT = "agent"
    CONFIG = "config"


class Validity(StrEnum):
    """Whether the call's measurements can be trusted."""

    VALID = "valid"
    VOID = "void"


class Verdict(StrEnum):
    """`none` is what is said when nothing valid could be judged; CI treats it as failure."""

    PASS = "pass"
    FAIL = "fail"
    NONE = "none"


class EndedReason(StrEnum):
    """Why a call ended. Facts about each stand in `REASONS`."""

    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_HUNG_UP = "agent_hung_up"
    AGENT_HUNG_UP_EARLY = "agent_hung_up_early"
    AGENT_NEVER_SPOKE = "agent_never_spoke"
    AGENT_STOPPED_ANSWERING = "agent_stopped_answering"
    AGENT_MEDIA_LOST = "agent_media_lost"
    CALL_TIME_LIMIT = "call_time_limit"
    ENDPOINT_UNREACHABLE = "endpoint_unreachable"
    OFFER_REFUSED = "offer_refused"
    OFFER_TIMED_OUT = "offer_timed_out"
    ANSWER_INVALID = "answer_invalid"
    ANSWER_WITHOUT_AUDIO = "answer_without_audio"
    START_REFUSED = "start_refused"
    ICE_FAILED = "ice_failed"
    ADDRESS_REFUSED = "address_refused"
    SECRET_MISSING = "secret_missing"
    PLAN_INVALID = "plan_invalid"
    CLIP_FAILED = "clip_failed"
    STUDIO_FAILED = "studio_failed"
    RECORDING_FAILED = "recording_failed"
    STORAGE_FAILED = "storage_failed"
    WORKER_LOST = "worker_lost"
    LEASE_LOST = "lease_lost"
    DRAINED = "drained"
    CANCELLED = "cancelled"
    INTERNAL_ERROR = "internal_error"


class ReasonFacts(msgspec.Struct, frozen=True):
    """`owner` None: not a failure. `retryable`: the fleet may try the call again unchanged."""

    owner: Owner | None
    retryable: bool
    sentence: str


REASONS: dict[EndedReason, ReasonFacts] = {
    EndedReason.CALLER_HUNG_UP: ReasonFacts(None, False, "the caller said its script and hung up"),
    EndedReason.AGENT_HUNG_UP: ReasonFacts(None, False, "the agent hung up after the caller's script was done"),
    EndedReason.AGENT_HUNG_UP_EARLY: ReasonFacts(Owner.AGENT, False, "the agent hung up before the caller's script was done"),
    EndedReason.AGENT_NEVER_SPOKE: ReasonFacts(Owner.AGENT, False, "the agent was connected and never spoke"),
    EndedReason.AGENT_STOPPED_ANSWERING: ReasonFacts(Owner.AGENT, False, "the agent spoke, then left the caller's prompts unanswered"),
    EndedReason.AGENT_MEDIA_LOST: ReasonFacts(Owner.AGENT, False, "the agent's audio packets stopped arriving in mid-call"),
    EndedReason.CALL_TIME_LIMIT: ReasonFacts(Owner.AGENT, False, "the call reached limits.call_s before the script was done"),
    EndedReason.ENDPOINT_UNREACHABLE: ReasonFacts(Owner.AGENT, False, "nothing answered at the endpoint's address"),
    EndedReason.OFFER_REFUSED: ReasonFacts(Owner.AGENT, False, "the endpoint refused the SDP offer"),
    EndedReason.OFFER_TIMED_OUT: ReasonFacts(Owner.AGENT, False, "the endpoint did not answer the SDP offer in time"),
    EndedReason.ANSWER_INVALID: ReasonFacts(Owner.AGENT, False, "the endpoint's answer was not a usable SDP answer"),
    EndedReason.ANSWER_WITHOUT_AUDIO: ReasonFacts(Owner.AGENT, False, "the answer had no audio section that sends"),
    EndedReason.START_REFUSED: ReasonFacts(Owner.AGENT, False, "the session start request was refused"),
    EndedReason.ICE_FAILED: ReasonFacts(Owner.AGENT, False, "no media path to the agent could be established in time"),
    EndedReason.ADDRESS_REFUSED: ReasonFacts(Owner.CONFIG, False, "the endpoint's address is one that workers must not call"),
    EndedReason.SECRET_MISSING: ReasonFacts(Owner.CONFIG, False, "a secret that the plan refers to is not set on the worker"),
    EndedReason.PLAN_INVALID: ReasonFacts(Owner.CONFIG, False, "the stored plan cannot be carried out"),
    EndedReason.CLIP_FAILED: ReasonFacts(Owner.FLEET, True, "an utterance could not be made into sound"),
    EndedReason.STUDIO_FAILED: ReasonFacts(Owner.FLEET, True, "the studio process failed after the call"),
    EndedReason.RECORDING_FAILED: ReasonFacts(Owner.FLEET, True, "the recording could not be written or assembled"),
    EndedReason.STORAGE_FAILED: ReasonFacts(Owner.FLEET, True, "object storage did not take the call's results"),
    EndedReason.WORKER_LOST: ReasonFacts(Owner.FLEET, True, "the worker that held the call disappeared"),
    EndedReason.LEASE_LOST: ReasonFacts(Owner.FLEET, True, "the worker could not renew the call's lease and hung up"),
    EndedReason.DRAINED: ReasonFacts(Owner.FLEET, True, "the worker was told to stop before the call was done"),
    EndedReason.CANCELLED: ReasonFacts(Owner.CONFIG, False, "the run was cancelled"),
    EndedReason.INTERNAL_ERROR: ReasonFacts(Owner.FLEET, True, "phonebank made a mistake; the log has the trace"),
}  # fmt: skip


class CallSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Which call of a run: positions in the plan's lists, decided by `shared.expansion.call_at`."""

    index: int
    """Position within the run: the lane's first index plus the cursor."""
    lane: int
    """Position of the agent in the plan."""
    scenario: int
    persona: int
    repetition: int
    seed: int
    """Source of all chance of this call; the same for every attempt."""


def call_seed(plan_seed: int, *place: str | int) -> int:
    """A 63-bit seed from the plan's seed and a call's place in it, stable across machines."""
    text = "/".join(str(part) for part in (plan_seed, *place))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
