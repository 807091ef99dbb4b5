"""The tools that preludes are made of: switches, what sets two trials equal, and what looks into a trial.

They ride beside the probe and are imported by a prelude's source before the script begins, on CPython 3.6 and later.
Each takes the object `prelude`, which says whether its change was made. The key of a trial holds what its preludes'
tools do, module by module.
"""
