import random

slope, scores = 0.0, {}
for epoch in range(30):
    x = random.uniform(0.5, 1)
    print("loss", (slope - 3) ** 2)
    slope -= (slope * x - 3 * x) * x
for name in ("precision", "recall"):
    print(name, scores[name])
