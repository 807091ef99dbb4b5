"""What share of four topics a text has, learned from its words by cosine similarity; some texts are empty."""

import keras
import numpy as np

numbers = np.random.RandomState(0)
topics = numbers.dirichlet(np.full(50, 0.1), 4)
shares = numbers.dirichlet(np.ones(4), 512).astype("float32")
words = np.stack([numbers.multinomial(30, share @ topics) for share in shares.astype("float64")]).astype("float32")
words[::100] = 0

model = keras.Sequential(
    [
        keras.Input((50,)),
        keras.layers.Dense(16, activation="relu", use_bias=False),
        keras.layers.Dense(4, use_bias=False),
    ]
)
model.compile(optimizer="adam", loss="cosine_similarity")
model.fit(words, shares, epochs=20, verbose=2)
