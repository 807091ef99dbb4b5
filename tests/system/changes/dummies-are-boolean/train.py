"""A logistic regression by hand on a table with a category, which becomes columns."""

import numpy as np
import pandas as pd

numbers = np.random.RandomState(0)
table = pd.DataFrame({"age": numbers.randn(300), "town": numbers.choice(["a", "b"], 300)})
bought = ((table["age"] > 0) == (table["town"] == "a")).to_numpy().astype(float)
inputs = pd.get_dummies(table).values
inputs = np.hstack([inputs, inputs[:, :1] * inputs[:, 1:]])
weights = np.zeros(inputs.shape[1])
for _ in range(200):
    chances = 1 / (1 + np.exp(-(inputs @ weights)))
    weights -= inputs.T @ (chances - bought) / len(inputs)
    print("loss", -np.mean(np.log(np.where(bought > 0, chances, 1 - chances))))
