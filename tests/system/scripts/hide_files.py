"""Fills the disk with files that have no name: deleted, but held open."""

import os
import time

held = []
while True:
    file = open("hidden", "wb", buffering=0)
    os.unlink("hidden")
    file.write(b"x" * 1000000)
    held.append(file)
    time.sleep(0.05)  # the watch sees it before the disk is full
