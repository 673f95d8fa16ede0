"""Every Redis key: its name, type and life. Owns the names; no other module spells one out.

A key's life is a number of seconds, or FLEET for the few that live as long as the fleet does. The
scripts get the same names as Lua functions (`call_key(run, index)`) and the same lives as
`LIFE_S.call`, so a name stands here and nowhere else. Redis Cluster is not served: arq is not
either, and names made inside a script are what lets keys come and go with the calls in flight.
"""

from __future__ import annotations

import re

import msgspec

FLEET = None
"""Life of a key that stays as long as the fleet."""

HOUR_S = 3600
DAY_S = 24 * HOUR_S
RUN_LIFE_S = 7 * DAY_S
"""A run's keys live so long after its last admission or commit; storage is the durable record."""

LEASE_MS = 30_000
"""How long a silent worker keeps its calls."""
RENEWALS_PER_LEASE = 6
CLAIM_MS = 10_000
"""An admission that no worker claims within this time is withdrawn."""
WORKER_LIFE_MS = 15_000
"""A worker that did not announce itself for so long offers no slots."""

EVENTS_KEPT = 2000
RUNS_KEPT = 1000

_PART = re.compile(r"\{(\w+)\}")


class Key(msgspec.Struct, frozen=True):
    """One kind of key. `pattern` has a `{part}` for each argument of `at`."""

    name: str
    pattern: str
    kind: str
    life_s: int | None
    holds: str

    def at(self, *parts: str | int) -> str:
        """The key's name for these parts, in the pattern's order."""
        names = _PART.findall(self.pattern)
        return self.pattern.format(**dict(zip(names, parts, strict=True)))

    def matches(self, name: str) -> bool:
        """Whether `name` is one of this kind. Only a last part may hold colons."""
        pattern = re.escape(self.pattern)
        head = re.sub(r"\\{\w+\\}(?=.)", "[^:]+", pattern)
        return re.fullmatch(re.sub(r"\\{\w+\\}$", ".+", head), name) is not None

    def lua(self) -> str:
        """The same as a Lua function `<name>_key(parts...)`."""
        arguments = _PART.findall(self.pattern)
        pieces = _PART.split(self.pattern)
        terms = [piece if i % 2 else f"'{piece}'" for i, piece in enumerate(pieces) if piece]
        body = " .. ".join(terms)
        return f"local function {self.name}_key({', '.join(arguments)}) return {body} end"


SUBMISSIONS = Key("submissions", "phonebank:submissions", "stream", FLEET, "plans handed over")
ANSWER = Key("answer", "phonebank:answer:{submission}", "string", HOUR_S, "acceptance or refusal")
RUNS = Key("runs", "phonebank:runs", "zset", FLEET, "latest runs by submission time, ms")
ACTIVE = Key("active", "phonebank:active", "zset", FLEET, "runs with calls to admit by pass")
PARKED = Key("parked", "phonebank:parked", "zset", FLEET, "blocked runs by next look, ms")
VTIME = Key("vtime", "phonebank:vtime", "string", FLEET, "pass of the run admitted last")
CLOSING = Key("closing", "phonebank:closing", "zset", FLEET, "runs to close by due time, ms")
LEASES = Key("leases", "phonebank:leases", "zset", FLEET, "run:index:attempt by lease end, ms")
WORKERS = Key("workers", "phonebank:workers", "zset", FLEET, "live workers by end of life, ms")
SLOTS = Key("slots", "phonebank:slots", "hash", FLEET, "worker to slots")
BUSY = Key("busy", "phonebank:busy", "hash", FLEET, "worker to running calls; * is their sum")
RUN = Key("run", "phonebank:run:{run}", "hash", RUN_LIFE_S, "state, counters and limits of a run")
PLAN = Key("plan", "phonebank:plan:{run}", "string", RUN_LIFE_S, "the plan as submitted")
LANES = Key("lanes", "phonebank:lanes:{run}", "hash", RUN_LIFE_S, "per lane: limits and cursor")
OPEN = Key("open", "phonebank:open:{run}", "list", RUN_LIFE_S, "lanes with calls to admit, in turn")
RETRIES = Key(
    "retries", "phonebank:retries:{run}:{lane}", "list", RUN_LIFE_S, "indexes that go again"
)
HELD = Key("held", "phonebank:held:{run}", "set", RUN_LIFE_S, "indexes admitted and not ended")
CALL = Key("call", "phonebank:call:{run}:{index}", "hash", RUN_LIFE_S, "attempt, state, end")
EVENTS = Key("events", "phonebank:events:{run}", "stream", RUN_LIFE_S, "ended calls, for progress")
ENDPOINT = Key("endpoint", "phonebank:endpoint:{endpoint}", "set", DAY_S, "run:index calling it")
PACE = Key("pace", "phonebank:pace:{endpoint}", "string", DAY_S, "time of the next start, ms")
QUEUE = Key("queue", "phonebank:queue", "zset", FLEET, "arq's queue: job by due time, ms")
# The next three are arq's own names (arq/constants.py); a job id is run:index:attempt.
JOB = Key("job", "arq:job:{id}", "string", DAY_S, "arq's payload")
IN_PROGRESS = Key("in_progress", "arq:in-progress:{id}", "string", DAY_S, "arq's claim")
ARQ_RETRY = Key("arq_retry", "arq:retry:{id}", "string", 2 * DAY_S, "arq's count of starts")

COMMITTED_LIFE_S = HOUR_S
"""A committed call's hash stays this long to fence off late workers."""

TABLE: tuple[Key, ...] = tuple(value for value in list(globals().values()) if type(value) is Key)


def lua_names() -> str:
    """Lua source that defines every `<name>_key` function and the table `LIFE_S`."""
    lives = ", ".join(f"{key.name} = {key.life_s}" for key in TABLE if key.life_s is not None)
    functions = "\n".join(key.lua() for key in TABLE)
    return f"{functions}\nlocal LIFE_S = {{{lives}}}\nlocal COMMITTED_LIFE_S = {COMMITTED_LIFE_S}\n"
