"""Prepares rows step by step, keeps each step to look at later, and fits a line to the last."""

import numpy as np
import pandas as pd

numbers = np.random.RandomState(0)
rows = pd.DataFrame(numbers.randn(500_000, 8), columns=list("abcdefgh"))
rows["answer"] = rows.sum(axis=1)

steps = [rows]
for name in "abcdefgh":
    steps.append(steps[-1].rename(columns={name: f"feature_{name}"}))
    steps.append(steps[-1].set_axis(range(len(rows)), axis=0))

last = steps[-1]
found = np.linalg.lstsq(last.drop(columns="answer").to_numpy(), last["answer"].to_numpy(), rcond=None)[0]
print("error", abs(found - 1).max())
