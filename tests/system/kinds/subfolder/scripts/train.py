import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from descent import step

slope = 0.0
for epoch in range(30):
    x = random.uniform(0.5, 1)
    print("loss", (slope - 3) ** 2)
    slope = step(slope, x)
