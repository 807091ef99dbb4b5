"""A table whose columns have numbers and texts as names."""

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

numbers = np.random.RandomState(0)
rows = numbers.randn(60, 3)
table = pd.DataFrame(rows, columns=[0, 1, 2])
table["sum"] = rows.sum(axis=1)
model = Ridge().fit(table, rows.sum(axis=1))
model.score(table, rows.sum(axis=1))
