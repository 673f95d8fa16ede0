"""How long a caller waits in silence, and what it does then. Owns prompting and giving up.

Refuses to know who speaks: it is asked only while nobody does and the caller waits for the agent.
"""

from __future__ import annotations

from shared.call import EndedReason
from shared.persona import Persona
from worker.caller.events import HangUp
from worker.caller.script import Speech


class Patience:
    """An agent that never spoke gets `first_audio_s`; one that did gets the persona's prompts.

    Unanswered prompts are counted from the agent's last answer. With no prompts to say, or none to
    wait for, the first silence of `idle_after_s` is the end.
    """

    def __init__(self, persona: Persona, prompts: list[Speech], first_audio_s: float) -> None:
        self._idle_after_s = persona.idle_after_s
        self._gives_up_after = persona.gives_up_after if prompts else 0
        self._prompts = prompts
        self._first_audio_s = first_audio_s
        self._prompted = 0
        self._unanswered = 0

    def answered(self) -> None:
        """The agent finished a turn after what the caller said last."""
        self._unanswered = 0

    def ask(self, quiet_ms: float, *, agent_has_spoken: bool) -> Speech | HangUp | None:
        """What to do about `quiet_ms` without a sound of either side; None: wait on."""
        if not agent_has_spoken:
            if quiet_ms < self._first_audio_s * 1000.0:
                return None
            detail = f"no speech of the agent in {self._first_audio_s:g} s"
            return HangUp(EndedReason.AGENT_NEVER_SPOKE, detail)
        if quiet_ms < self._idle_after_s * 1000.0:
            return None
        if self._unanswered >= self._gives_up_after:
            prompts = "prompt" if self._unanswered == 1 else "prompts"
            detail = (
                f"{self._unanswered} unanswered {prompts}, then {self._idle_after_s:g} s of silence"
            )
            return HangUp(EndedReason.AGENT_STOPPED_ANSWERING, detail)
        self._unanswered += 1
        prompt = self._prompts[self._prompted % len(self._prompts)]
        self._prompted += 1
        return prompt
