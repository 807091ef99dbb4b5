import random

slope = 0.0
for epoch in range(30):
    x = random.uniform(0.5, 1)
    slope -= (slope * x - 3 * x) * x
