"""Where in its script the caller is. Owns the line and what has become of it; decides nothing."""

from __future__ import annotations

from worker.caller.floor import AgentTurn
from worker.caller.script import Script, ScriptLine, Speech


class Place:
    """The current line. What is known of it is forgotten with the step to the next."""

    def __init__(self, script: Script) -> None:
        self._lines = script.lines
        self._at = 0
        self.entered_ms = 0.0
        """When the current line became current."""
        self.quiet_until_ms = 0.0
        """End of the script's last silence."""
        self.target: AgentTurn | None = None
        """The turn that this line is to interrupt."""
        self.missed = False
        """That turn ended too early: say the line when the floor is free."""
        self.again = False
        """The line was cut and is to be said once more."""

    @property
    def line(self) -> ScriptLine:
        """What to do now."""
        return self._lines[self._at]

    @property
    def unsaid(self) -> bool:
        """There is something left to say, the current line included."""
        return any(isinstance(line, Speech) for line in self._lines[self._at :])

    def next(self, now_ms: float) -> None:
        """The current line is done."""
        self._at += 1
        self.entered_ms = now_ms
        self.target = None
        self.missed = False
        self.again = False
