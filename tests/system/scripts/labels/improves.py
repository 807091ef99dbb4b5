# Gradient descent by hand that stops long before it is done.
import json
import os

weight = 1.0
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(20):
        weight -= 0.02 * 2 * weight
        metrics.write(json.dumps({"epoch": epoch, "loss": weight ** 2}) + "\n")
