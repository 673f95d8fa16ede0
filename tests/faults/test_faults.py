"""Every planted fault ends where the page says, in real calls of real fleets."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from shared.call import REASONS, EndedReason, Owner, Validity, Verdict, VoidReason
from tests.faults.page import PAGE, Met, meet_all, page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> list[Met]:
    """All faults, planted once for all tests of this file."""
    return asyncio.run(meet_all(tmp_path_factory.mktemp("faults")))


def test_the_page_of_faults_is_what_happened(met: list[Met]) -> None:
    """`python -m tests.faults.page` writes it anew."""
    assert page(met) == PAGE.read_text()
    assert len(met) >= 25


def test_what_is_ours_or_the_plans_never_counts_against_the_agent(met: list[Met]) -> None:
    """Void and without a verdict, or held again and passed."""
    for one in met:
        if one.whose in {"fleet", "plan"}:
            assert one.row.verdict is not Verdict.FAIL, one
        if one.row.failure_owner in {Owner.FLEET, Owner.CONFIG}:
            assert one.row.validity is Validity.VOID, one
            assert one.row.verdict is Verdict.NONE, one


def test_every_end_stands_in_the_tables(met: list[Met]) -> None:
    """Reason, owner and step agree with `REASONS`; void reasons begin with a known word."""
    words = {str(word) for word in (*VoidReason, *EndedReason)}
    for one in met:
        row = one.row
        facts = REASONS[row.ended_reason]
        assert row.failure_owner == facts.owner, one
        assert not facts.steps or row.failed_step in {None, *facts.steps}, one
        assert (row.failed_step is None) == (facts.owner is None) or not facts.steps, one
        assert {reason.partition(":")[0] for reason in row.void_reasons} <= words, one


def test_no_fault_is_a_defect(met: list[Met], tmp_path_factory: pytest.TempPathFactory) -> None:
    """No log of the fleets holds a traceback."""
    for log in Path(tmp_path_factory.getbasetemp()).glob("faults*/*/log.txt"):
        text = log.read_text(errors="replace")
        assert not re.search(r"Traceback|exc_info", text), log
