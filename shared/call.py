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

    PASS = "pass"  # noqa: S105 - a verdict
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
    SECRET_MISSING = "secret_missing"  # noqa: S105 - a reason
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


class VoidReason(StrEnum):
    """Why a call's figures cannot be trusted, beside an ended reason of fleet or plan.

    First word of each sentence in `CallResult.void_reasons`; limits: `worker.measure.validity`.
    """

    CALLER_DEGRADED = "caller_degraded"
    LOOP_STALLED = "loop_stalled"
    OWN_PACKETS_LOST = "own_packets_lost"
    HOST_PRESSURE = "host_pressure"
    SCRIPT_UNSAID = "script_unsaid"
    CHANNELS_UNEQUAL = "channels_unequal"


class ReasonFacts(msgspec.Struct, frozen=True):
    """`owner` None: not a failure. `retryable`: the fleet may try the call again unchanged.

    `steps`: where a call can end so; empty: anywhere.
    """

    owner: Owner | None
    retryable: bool
    sentence: str
    steps: tuple[Step, ...] = ()


_NO_FAILURE = {
    EndedReason.CALLER_HUNG_UP: "the caller said its script and hung up",
    EndedReason.AGENT_HUNG_UP: "the agent hung up after the caller's script was done",
}
_AGENTS = {
    EndedReason.AGENT_HUNG_UP_EARLY: "the agent hung up before the caller's script was done",
    EndedReason.AGENT_NEVER_SPOKE: "the agent was connected and never spoke",
    EndedReason.AGENT_STOPPED_ANSWERING: "the agent spoke, then left prompts unanswered",
    EndedReason.AGENT_MEDIA_LOST: "the agent's audio packets stopped arriving in mid-call",
    EndedReason.CALL_TIME_LIMIT: "the call reached limits.call_s before the script was done",
    EndedReason.ENDPOINT_UNREACHABLE: "nothing answered at the endpoint's address",
    EndedReason.OFFER_REFUSED: "the endpoint refused the SDP offer",
    EndedReason.OFFER_TIMED_OUT: "the endpoint did not answer the SDP offer in time",
    EndedReason.ANSWER_INVALID: "the endpoint's answer was not a usable SDP answer",
    EndedReason.ANSWER_WITHOUT_AUDIO: "the answer had no audio section that sends",
    EndedReason.START_REFUSED: "the session start request was refused",
    EndedReason.ICE_FAILED: "no media path to the agent could be established in time",
}
_CONFIGS = {
    EndedReason.ADDRESS_REFUSED: "the endpoint's address is one that workers must not call",
    EndedReason.SECRET_MISSING: "a secret that the plan refers to is not set on the worker",
    EndedReason.PLAN_INVALID: "the stored plan cannot be carried out",
    EndedReason.CANCELLED: "the run was cancelled",
}
_FLEETS = {
    EndedReason.CLIP_FAILED: "an utterance could not be made into sound",
    EndedReason.STUDIO_FAILED: "the studio process failed after the call",
    EndedReason.RECORDING_FAILED: "the recording could not be written or assembled",
    EndedReason.STORAGE_FAILED: "object storage did not take the call's results",
    EndedReason.WORKER_LOST: "the worker that held the call disappeared",
    EndedReason.LEASE_LOST: "the worker could not renew the call's lease and hung up",
    EndedReason.DRAINED: "the worker was told to stop before the call was done",
    EndedReason.INTERNAL_ERROR: "phonebank made a mistake; the log has the trace",
}

_TALKING = (Step.FIRST_AUDIO, Step.CONVERSATION)
_STEPS: dict[EndedReason, tuple[Step, ...]] = {
    EndedReason.CALLER_HUNG_UP: (Step.CONVERSATION,),
    EndedReason.AGENT_HUNG_UP: (Step.CONVERSATION,),
    EndedReason.AGENT_HUNG_UP_EARLY: _TALKING,
    EndedReason.AGENT_NEVER_SPOKE: (Step.FIRST_AUDIO,),
    EndedReason.AGENT_STOPPED_ANSWERING: (Step.CONVERSATION,),
    EndedReason.AGENT_MEDIA_LOST: _TALKING,
    EndedReason.CALL_TIME_LIMIT: _TALKING,
    EndedReason.ENDPOINT_UNREACHABLE: (Step.SIGNALLING,),
    EndedReason.OFFER_REFUSED: (Step.SIGNALLING,),
    EndedReason.OFFER_TIMED_OUT: (Step.SIGNALLING,),
    EndedReason.ANSWER_INVALID: (Step.SIGNALLING, Step.ICE),
    EndedReason.ANSWER_WITHOUT_AUDIO: (Step.SIGNALLING,),
    EndedReason.START_REFUSED: (Step.SIGNALLING,),
    EndedReason.ICE_FAILED: (Step.SIGNALLING, Step.ICE),
    EndedReason.ADDRESS_REFUSED: (Step.SIGNALLING,),
    EndedReason.SECRET_MISSING: (Step.CREDENTIALS,),
    EndedReason.PLAN_INVALID: (Step.CONFIG, Step.SIGNALLING),
    EndedReason.CLIP_FAILED: (Step.CLIPS,),
    EndedReason.STUDIO_FAILED: (Step.RECORDING,),
    EndedReason.RECORDING_FAILED: (Step.RECORDING,),
    EndedReason.STORAGE_FAILED: (Step.UPLOAD,),
}


def _facts(
    owner: Owner | None, sentences: dict[EndedReason, str], *, retryable: bool = False
) -> dict[EndedReason, ReasonFacts]:
    return {
        reason: ReasonFacts(owner, retryable, words, _STEPS.get(reason, ()))
        for reason, words in sentences.items()
    }


REASONS: dict[EndedReason, ReasonFacts] = {
    **_facts(None, _NO_FAILURE),
    **_facts(Owner.AGENT, _AGENTS),
    **_facts(Owner.CONFIG, _CONFIGS),
    **_facts(Owner.FLEET, _FLEETS, retryable=True),
}


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
