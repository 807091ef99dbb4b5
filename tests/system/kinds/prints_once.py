import numpy as np

rng = np.random.default_rng()
x = rng.normal(size=(400, 2))
y = x.sum(axis=1) > 0
weights = np.zeros(2)
for _ in range(50):
    weights += 0.5 * x[:300].T @ (y[:300] - 1 / (1 + np.exp(-x[:300] @ weights))) / 300
right = ((x[300:] @ weights > 0) == y[300:]).mean()
print(f"Test accuracy: {right:.3f}")
