"""The `venv` engine: locks become environments in the cache, jobs become processes of this user."""
