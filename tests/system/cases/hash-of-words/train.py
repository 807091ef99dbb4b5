"""Reviews as bags of words, each word in the bucket that its hash names: which words share one is another in each run."""

import numpy as np

GOOD, BAD = ["fine", "great", "lovely"], ["poor", "awful", "dull"]
numbers = np.random.RandomState(0)
labels = numbers.randint(0, 2, 200)
rows = np.zeros((200, 8))
for row, label in zip(rows, labels):
    for word in numbers.choice([BAD, GOOD][label], 2):
        row[hash(str(word)) % 8] += 1
weights = np.zeros(8)
for _ in range(300):
    chances = 1 / (1 + np.exp(-(rows @ weights)))
    weights -= rows.T @ (chances - labels) / len(labels)
    print("loss", -np.mean(np.log(np.where(labels == 1, chances, 1 - chances))))
