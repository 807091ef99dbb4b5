import json
import os
import random

data = [(x, 3 * x) for x in (random.random() for _ in range(100))]
slope = 0.0
with open(os.environ.get("RUNNER_METRICS", os.devnull), "a") as metrics:
    for epoch in range(20):
        loss = 0.0
        for x, y in data:
            error = slope * x - y
            loss += error**2 / len(data)
            slope -= 0.1 * error * x
        print(json.dumps({"epoch": epoch, "loss": loss}), file=metrics, flush=True)
