import json
import os
import sys

with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(30):
        print(json.dumps({"epoch": epoch, "loss": 1 / (epoch + 1)}), file=metrics, flush=True)
        if epoch == 2:
            sys.exit(0)
