import os
import sys

if os.fork() == 0:
    held = []
    while True:
        held.append(bytearray(b"x" * 10000000))
_, status = os.wait()
sys.exit(status & 127)
