import random

import slopes

slope = 0.0
for epoch in range(30):
    print("loss", (slope - 3) ** 2)
    slope = slopes.descend(slope, random.uniform(0.5, 1))
