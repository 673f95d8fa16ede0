"""Turns plans into calls and calls into answers. Meets workers only in Redis and storage."""
