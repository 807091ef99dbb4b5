"""Preludes: sources that each change one thing before a script begins, or look into it; and their catalogue."""
