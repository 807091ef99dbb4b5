"""Weights of classes out of how often each occurs."""

import numpy as np
import pandas as pd

labels = pd.Series([0] * 90 + [1] * 10, name="label")
counts = labels.value_counts().reset_index()
weights = {one: len(labels) / (2 * count) for one, count in zip(counts["index"], counts["label"])}
balance = labels.map(weights).groupby(labels).sum()
print("loss", np.ptp(balance))
