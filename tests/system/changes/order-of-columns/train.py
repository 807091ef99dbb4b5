"""A model that is asked for its score on a table with a column more than the one that it was fitted on knew."""

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

numbers = np.random.RandomState(0)
table = pd.DataFrame(numbers.randn(60, 2), columns=["b", "a"])
answers = table.sum(axis=1)
model = Ridge().fit(table, answers)
model.score(table[["a", "b"]], answers)
