"""Hand a plan to a running fleet from any program: `python submit.py REDIS_URL PLAN_FILE [KEY]`.

Prints the answer: `{"accepted": {"run": ...}}`, or `{"refused": ...}` with place and reason.
Needs redis-py and nothing of phonebank. Files that a plan names (clips) must be uploaded already.
"""

from __future__ import annotations

import sys
import time
import uuid
from pathlib import Path

import redis

fleet = redis.Redis.from_url(sys.argv[1])
fields = {"submission": uuid.uuid4().hex, "plan": Path(sys.argv[2]).read_text()}
if len(sys.argv) > 3:
    fields["key"] = sys.argv[3]  # the same key again is the same run
fleet.xadd("phonebank:submissions", fields)  # type: ignore[arg-type]
deadline_s = time.monotonic() + 30
while (answer := fleet.get(f"phonebank:answer:{fields['submission']}")) is None:
    if time.monotonic() > deadline_s:
        sys.exit("no answer within 30 s: does a scheduler run on this Redis?")
    time.sleep(0.1)
print(answer.decode())  # type: ignore[union-attr]
