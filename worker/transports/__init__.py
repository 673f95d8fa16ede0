"""What carries a caller's voice to an agent. `transport.py` is the seam."""
