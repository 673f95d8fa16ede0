"""Holds conversations: `main > switchboard > call > caller > transports > media`."""
