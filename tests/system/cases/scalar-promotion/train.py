"""Adds small rewards to a score that is a number of 32 bits."""

import numpy as np

score = np.float32(1)
for _ in range(1000):
    score = score + 1e-8
print("gain", score - 1)
