"""The user's script as a value: its local modules, its hash, its import flavour, and how it is copied into a trial."""
