import json
import os
import time

with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    print(json.dumps({"epoch": 0, "loss": 1.0}), file=metrics, flush=True)
    time.sleep(600)
