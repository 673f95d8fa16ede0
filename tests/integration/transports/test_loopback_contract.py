"""The fake keeps the contract of the real transports: in real time, and in virtual time."""

from __future__ import annotations

import pytest

from shared.call import EndedReason, Step
from tests.contracts.transports import CONTRACT, Check
from tests.virtual_time import run_virtually
from worker.transports.loopback import LoopbackAgent, LoopbackTransport, Refusal
from worker.transports.transport import Transport


class LoopbackStage:
    def __init__(self) -> None:
        self._last: LoopbackTransport | None = None

    def call(self) -> Transport:
        self._last = LoopbackTransport(LoopbackAgent())
        return self._last

    def refused_call(self) -> tuple[Transport, Step, EndedReason]:
        refusal = Refusal(Step.ICE, EndedReason.ICE_FAILED)
        return LoopbackTransport(LoopbackAgent(refusal=refusal)), Step.ICE, EndedReason.ICE_FAILED

    def agent_heard(self) -> list[bytes]:
        assert self._last is not None
        assert self._last.conversation is not None
        return self._last.conversation.heard

    async def agent_hangs_up(self) -> None:
        assert self._last is not None
        self._last.agent_hangs_up()


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
async def test_loopback_keeps_the_contract(check: Check) -> None:
    """Each promise of a transport holds for the fake."""
    await check(LoopbackStage())


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_loopback_keeps_the_contract_in_virtual_time(check: Check) -> None:
    """Each promise of a transport holds where time jumps."""

    async def checked() -> None:
        await check(LoopbackStage())

    run_virtually(checked())
