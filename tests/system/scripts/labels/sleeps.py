# Learns for a while, then waits for something that never comes.
import json
import os
import time

with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(20):
        metrics.write(json.dumps({"epoch": epoch, "loss": 0.5 ** epoch}) + "\n")
time.sleep(3600)
