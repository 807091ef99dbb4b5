"""`matrix.yaml` → `Matrix` → cells."""
