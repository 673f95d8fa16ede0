"""Sound as packets: clips, the ticker, speaker, listener, timeline and recording."""
