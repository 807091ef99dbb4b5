"""Locks become images, jobs run in them: `docker` and `venv`, equal behind `protocol.Engine`."""
