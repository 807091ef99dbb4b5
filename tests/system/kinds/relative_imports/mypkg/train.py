import random

from .loss import squared

slope = 0.0
for epoch in range(30):
    x = random.uniform(0.5, 1)
    print("loss", squared(slope * x - 3 * x))
    slope -= slope * x * x - 3 * x * x
