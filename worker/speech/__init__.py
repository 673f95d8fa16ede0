"""Voices that turn text into sound."""
