"""The ruler: an agent whose every sound has a known time, to measure the measuring with.

A process of its own that imports nothing of phonebank. Times are nanoseconds of CLOCK_MONOTONIC,
which all processes of a host share and which asyncio's loop counts by.

Conventions. A sound's edge is its first or last millisecond over -45 dBFS (RMS). What the ruler
says is timed by the sound that went into the encoder, at the moment its packet was handed to the
socket; what it hears by the sound that came out of its decoder, from the moment the packet reached
the socket. So Opus's look-ahead (6.5 ms) is inside what the caller says, and not in what the ruler
says.
"""
