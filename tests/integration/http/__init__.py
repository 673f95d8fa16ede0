"""Outgoing HTTP against a real server."""
