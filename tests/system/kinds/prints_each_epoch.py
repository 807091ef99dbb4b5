import numpy as np

rng = np.random.default_rng()
x = rng.normal(size=(256, 4))
y = x.sum(axis=1)
weights = np.zeros(4)
for epoch in range(20):
    error = x @ weights - y
    weights -= 0.3 * x.T @ error / len(x)
    print(f"epoch {epoch + 1}/20 - error {np.mean(error**2):.3e}")
