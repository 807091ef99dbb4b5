"""The public API of packages by release, read from live objects: the data, and what reads and extends them."""
