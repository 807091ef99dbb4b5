"""Behaviour that changed at a release and that no signature shows: data, each entry with the case that proves it."""
