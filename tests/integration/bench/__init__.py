"""The bench as a command."""
