"""The record of an attempt's steps."""

from __future__ import annotations

from shared.call import Step
from tests.virtual_time import pass_time, run_virtually
from worker.steps import Steps


def test_a_step_lasts_until_the_next_one_begins() -> None:
    """Times add up without gaps and count from the attempt's start."""

    async def main() -> None:
        steps = Steps()
        for step in (Step.CLIPS, Step.SIGNALLING, Step.ICE):
            steps.begin(step)
            await pass_time(0.5)
        records = steps.done()
        assert [record.name for record in records] == [Step.CLIPS, Step.SIGNALLING, Step.ICE]
        assert [round(record.started_ms) for record in records] == [0, 500, 1000]
        assert all(record.outcome == "ok" for record in records)
        assert all(round(record.took_ms) == 500 for record in records)

    run_virtually(main())


def test_a_failure_belongs_to_the_step_that_failed() -> None:
    """Steps before it ended well; its detail is kept."""

    async def main() -> None:
        steps = Steps()
        steps.begin(Step.SIGNALLING)
        steps.fail(Step.ICE, "no path")
        records = steps.done()
        assert [(record.name, record.outcome) for record in records] == [
            (Step.SIGNALLING, "ok"),
            (Step.ICE, "failed"),
        ]
        assert records[1].detail == "no path"

    run_virtually(main())
