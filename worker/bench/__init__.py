"""What a caller costs on this machine: `python -m worker.bench capacity`. No part of a fleet."""
