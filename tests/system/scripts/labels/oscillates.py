# Gradient descent by hand, whose rate is so high that the first weight swings around its minimum.
import json
import os

weight = 1.0
velocity = 0.0
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(40):
        velocity = 0.999 * velocity - 0.2 * 2 * weight
        weight += velocity
        metrics.write(json.dumps({"epoch": epoch, "loss": weight ** 2}) + "\n")
