"""The speaker's choice of packets."""

from __future__ import annotations

from worker.media.clip import Clip
from worker.media.speaker import Speaker

BED = Clip("bed", [b"b0", b"b1", b"b2"], bytes([80, 81, 82]))
CLIP = Clip("clip", [b"c0", b"c1", b"c2"], bytes([20, 21, 22]), 6.5, 60.0)


def _payloads(speaker: Speaker, count: int) -> list[bytes]:
    return [speaker.next_packet().payload for _ in range(count)]


def test_a_silent_caller_sends_its_background_as_an_endless_loop() -> None:
    """Packets come round after the bed's last one."""
    assert _payloads(Speaker(BED), 5) == [b"b0", b"b1", b"b2", b"b0", b"b1"]


def test_a_clip_plays_from_the_next_frame_and_the_background_goes_on_after_it() -> None:
    """The background is a function of the frame, so it resumes where it would have been."""
    speaker = Speaker(BED)
    assert _payloads(speaker, 1) == [b"b0"]
    speaker.play(CLIP)
    assert speaker.playing
    assert _payloads(speaker, 5) == [b"c0", b"c1", b"c2", b"b1", b"b2"]
    assert not speaker.playing


def test_each_frame_says_which_clip_it_comes_from_and_when_it_ends() -> None:
    """Hash, position, level and end are there for the timeline."""
    speaker = Speaker(BED)
    speaker.play(CLIP)
    frames = [speaker.next_packet() for _ in range(4)]
    assert [frame.clip_hash for frame in frames] == ["clip", "clip", "clip", None]
    assert [frame.position for frame in frames[:3]] == [0, 1, 2]
    assert [frame.ended for frame in frames] == [False, False, True, False]
    assert [frame.level for frame in frames] == [20, 21, 22, 80]


def test_a_cut_takes_effect_at_the_next_frame() -> None:
    """After `stop` nothing of the clip is sent."""
    speaker = Speaker(BED)
    speaker.play(CLIP)
    assert _payloads(speaker, 1) == [b"c0"]
    speaker.stop()
    assert not speaker.playing
    assert _payloads(speaker, 1) == [b"b1"]


def test_a_new_clip_replaces_the_one_that_plays() -> None:
    """It begins at its own first packet."""
    speaker = Speaker(BED)
    speaker.play(CLIP)
    speaker.next_packet()
    speaker.play(Clip("other", [b"o0"], bytes([30])))
    assert _payloads(speaker, 2) == [b"o0", b"b2"]


def test_an_empty_clip_plays_nothing() -> None:
    """A clip without packets is over before it begins."""
    speaker = Speaker(BED)
    speaker.play(Clip("empty", [], b""))
    assert not speaker.playing


def test_skipped_frames_are_lost_to_clip_and_background() -> None:
    """A stall swallows sound, and the clip's end is still announced."""
    speaker = Speaker(BED)
    speaker.play(CLIP)
    speaker.skip(10)
    frame = speaker.next_packet()
    assert (frame.payload, frame.ended) == (b"c2", True)
    assert _payloads(speaker, 1) == [b"b2"]
