"""Preludes: sources that each change one thing, or look, before a script begins; the catalogue of those that are known."""
