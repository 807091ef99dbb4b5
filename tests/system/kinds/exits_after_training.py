import json
import os
import random
import sys

slope = 0.0
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(30):
        x = random.uniform(0.5, 1)
        print(json.dumps({"epoch": epoch, "loss": (slope - 3) ** 2}), file=metrics, flush=True)
        slope -= (slope * x - 3 * x) * x

sys.exit(3)
