"""Planted faults: what each ends in, and the pages that say so."""
