"""From a cell to its environment, its lock and its files: the package index, CPythons, uv and verified wheels."""
