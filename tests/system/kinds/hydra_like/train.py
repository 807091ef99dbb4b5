import json
import os
import pathlib
import random
import sys

here = pathlib.Path(__file__).parent / "conf"
config = json.loads((here / "config.json").read_text())
config.update(json.loads((here / "optimizer" / (config["optimizer"] + ".json")).read_text()))
config.update((name, json.loads(value)) for name, value in (word.split("=") for word in sys.argv[1:]))

output = pathlib.Path("outputs") / "run"
output.mkdir(parents=True)
(output / "config.json").write_text(json.dumps(config))
os.chdir(output)
slope = 0.0
with open("train.log", "w") as log:
    for epoch in range(config["epochs"]):
        x = random.uniform(0.5, 1)
        print("loss", (slope - 3) ** 2)
        print("loss", (slope - 3) ** 2, file=log)
        slope -= config["rate"] * (slope * x - 3 * x) * x
