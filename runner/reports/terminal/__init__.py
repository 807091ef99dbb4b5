"""The result on a terminal: whole matrices, single cells and accounts, at any width and without needing colour."""
