"""What a matrix came to, as files: every page and table, made from `results.json` alone."""
