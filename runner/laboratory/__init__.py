"""Answers one thing: these cells, so many seeds → records. It makes environments and runs trials; it judges nothing."""
