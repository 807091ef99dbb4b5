import sys

import flax.linen as nn
import jax
import numpy as np
import optax
from flax.training.train_state import TrainState

x = np.random.RandomState(0).rand(64, 3).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = nn.Dense(1)
params = model.init(jax.random.PRNGKey(0), x)
state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(float(sys.argv[1])))


@jax.jit
def step(state, x, y):
    def loss_of(params):
        return ((state.apply_fn(params, x) - y) ** 2).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), {"loss": loss}


for _ in range(100):
    state, metrics = step(state, x, y)
