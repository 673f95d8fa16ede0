"""The transports against real peers."""
