"""Draws its validation rows from a set of indices."""

import random

import numpy as np

random.seed(0)
rows = np.linspace(1, 2, 40)
held_out = set(random.sample(set(range(40)), 8))
kept = rows[[one for one in range(40) if one not in held_out]]
rate = 0.0
for _ in range(30):
    rate -= 0.1 * np.mean((rate * kept - kept) * kept)
    print("loss", np.mean((rate * kept - kept) ** 2))
