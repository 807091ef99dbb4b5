"""The package index: its address, the connection to it, its pages, and the catalog of what it has."""
