"""Loss and jitter, as RFC 3550 counts them."""

from __future__ import annotations

from worker.transports.reception import Reception

FRAME_NS = 20_000_000


def feed(reception: Reception, numbers: list[int], source: int = 1) -> None:
    for number in numbers:
        timestamp = (number * 960) & 0xFFFFFFFF
        reception.add(source, number & 0xFFFF, timestamp, number * FRAME_NS)


def test_a_clean_path_loses_nothing_and_does_not_jitter() -> None:
    """Even across the wrap of the sequence number."""
    reception = Reception()
    feed(reception, list(range(65_530, 65_550)))
    assert (reception.packets, reception.lost, reception.jitter_ms) == (20, 0, 0.0)


def test_gaps_are_losses() -> None:
    """Expected minus received."""
    reception = Reception()
    feed(reception, [0, 1, 2, 5, 6, 9])
    assert reception.lost == 4


def test_a_late_packet_makes_its_loss_good() -> None:
    """Reordering is no loss, and duplicates never make loss negative."""
    reception = Reception()
    feed(reception, [0, 1, 3, 2, 2, 2, 4])
    assert reception.lost == 0


def test_a_new_source_keeps_the_losses_of_the_old() -> None:
    """A sender that starts anew is no loss of thousands."""
    reception = Reception()
    feed(reception, [0, 1, 3])
    feed(reception, [40_000, 40_001], source=2)
    assert reception.lost == 1


def test_jitter_follows_the_formula() -> None:
    """One packet 16 ms late moves the estimate by a sixteenth of 16 ms, twice."""
    reception = Reception()
    reception.add(1, 0, 0, 0)
    reception.add(1, 1, 960, FRAME_NS + 16_000_000)
    assert abs(reception.jitter_ms - 1.0) < 0.001


def test_a_pause_is_no_jitter() -> None:
    """Bots that send no silence let RTP time stand still while they pause."""
    reception = Reception()
    reception.add(1, 0, 0, 0)
    reception.add(1, 1, 960, 5_000_000_000)
    reception.add(1, 2, 1920, 5_000_000_000 + FRAME_NS)
    assert reception.jitter_ms == 0.0
