"""Truth and speed: programs that print figures beside their targets (`python -m tests.prove`)."""
