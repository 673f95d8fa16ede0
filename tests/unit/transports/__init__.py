"""The transports without a network."""
