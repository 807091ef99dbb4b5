"""Trials and environments on the workers of a Dask cluster: the workshop of a laboratory past one machine."""
