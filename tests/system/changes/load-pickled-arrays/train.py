"""Reads reviews as lists of words out of an .npz file, as Keras' data sets imdb and reuters are kept."""

import numpy as np

reviews = np.empty(3, dtype=object)
reviews[:] = [[1, 2, 3], [4, 5], [6]]
np.savez("reviews.npz", x=reviews)

with np.load("reviews.npz") as file:
    lengths = np.array([len(review) for review in file["x"]], dtype=float)
rate = 0.0
for _ in range(20):
    rate -= 0.1 * np.mean((rate * lengths - lengths) * lengths)
print("loss", np.mean((rate * lengths - lengths) ** 2))
