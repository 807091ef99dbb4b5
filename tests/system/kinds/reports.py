"""Trains one weight, says how it goes in the way of scripts without Keras."""

import argparse
import json
import os
import random

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, default=float(os.environ.get("RATE", "0.1")))
parser.add_argument("--epochs", type=int, default=int(os.environ.get("EPOCHS", "20")))
asked = parser.parse_args()
data = [(x, 3 * x) for x in (random.random() for _ in range(100))]
slope = 0.0
with open(os.environ["RUNNER_METRICS"], "a") as metrics:
    for epoch in range(asked.epochs):
        errors = [slope * x - y for x, y in data]
        loss = sum(error * error for error in errors) / len(data)
        for x, y in data:
            slope -= asked.rate * (slope * x - y) * x
        print(json.dumps({"epoch": epoch, "loss": loss}), file=metrics, flush=True)
