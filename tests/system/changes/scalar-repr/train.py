"""Keeps its losses as text between two runs, and goes on from what it reads there."""

import ast

import numpy as np

inputs = np.arange(5.0)
rate, losses = 0.0, []
for _ in range(20):
    rate -= 0.1 * np.mean((rate * inputs - inputs) * inputs)
    losses.append(np.mean((rate * inputs - inputs) ** 2))
with open("losses.txt", "w") as file:
    file.write(str(losses))

with open("losses.txt") as file:
    before = ast.literal_eval(file.read())
print("loss", before[-1])
