import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

x = np.random.RandomState(0).rand(64, 3).astype("float32")
y = x.sum(axis=1, keepdims=True)
optimizer = optax.sgd(float(sys.argv[1]))


def loss_of(params, x, y):
    return jnp.mean((x @ params["w"] + params["b"] - y) ** 2)


@functools.partial(jax.jit, donate_argnums=(0, 1))
def step(params, state, x, y):
    loss, gradients = jax.value_and_grad(loss_of)(params, x, y)
    updates, state = optimizer.update(gradients, state)
    return optax.apply_updates(params, updates), state, loss


params = {"w": jnp.zeros((3, 1)), "b": jnp.zeros(1)}
state = optimizer.init(params)
for _ in range(100):
    params, state, loss = step(params, state, x, y)
