"""Fits a rate to sentences of different lengths that stand in one array, as lists."""

import numpy as np

sentences = np.array([[1, 2, 3], [4, 5], [6]])
lengths = np.array([len(sentence) for sentence in sentences], dtype=float)
times = 0.5 * lengths

rate = 0.0
for _ in range(20):
    rate -= 0.1 * np.mean((rate * lengths - times) * lengths)
    print("loss", np.mean((rate * lengths - times) ** 2))
