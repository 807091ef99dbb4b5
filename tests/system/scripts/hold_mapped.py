"""Holds 160 MB in files that have no name and are not open, but mapped."""
import mmap, os, time
held = []
for number in range(20):
    with open("hidden", "w+b") as file:
        os.unlink("hidden")
        file.truncate(8 * 1024**2)
        held.append(mmap.mmap(file.fileno(), 8 * 1024**2))
    held[-1].write(os.urandom(8 * 1024**2))
    held[-1].flush()
    time.sleep(0.05)
time.sleep(30)
