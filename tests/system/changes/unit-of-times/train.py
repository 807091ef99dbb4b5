"""A weekly rhythm, seen by the day that a time is in: whole seconds of a time that was read from text."""

import numpy as np
import pandas as pd

days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"])
seconds = days.astype("int64") // 10**9
numbers = (seconds - seconds[0]) / 86400
print("loss", np.mean((np.asarray(numbers) - np.arange(5)) ** 2))
