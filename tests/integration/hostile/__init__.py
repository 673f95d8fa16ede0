"""Agents that mean harm, and secrets that they are told."""
