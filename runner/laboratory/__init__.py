"""Answers one thing: these cells, so many seeds → records. Environments are made, trials run and kept; nothing is judged."""
