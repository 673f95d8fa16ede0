"""Pages that repeat what code says, held to the code."""

from __future__ import annotations

from shared.call import REASONS, EndedReason
from tests.faults.reasons_page import PAGE, page


def test_the_page_of_reasons_is_what_the_code_says() -> None:
    """`python -m tests.faults.reasons_page` writes it anew."""
    assert PAGE.read_text() == page()


def test_every_reason_has_its_facts() -> None:
    """Owner, retry, steps and a sentence that a person can act on."""
    assert set(REASONS) == set(EndedReason)
    assert all(len(facts.sentence.split()) >= 4 for facts in REASONS.values())
