import sys

import jax
import keras
import numpy as np

x = np.random.RandomState(0).rand(64, 3).astype("float32")
y = x.sum(axis=1, keepdims=True)
model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
optimizer = keras.optimizers.SGD(float(sys.argv[1]))
optimizer.build(model.trainable_variables)


def loss_of(trainable, other, x, y):
    predicted, other = model.stateless_call(trainable, other, x, training=True)
    return keras.ops.mean((predicted - y) ** 2), other


@jax.jit
def step(state, x, y):
    trainable, other, slots = state
    (loss, other), gradients = jax.value_and_grad(loss_of, has_aux=True)(trainable, other, x, y)
    trainable, slots = optimizer.stateless_apply(slots, gradients, trainable)
    return loss, (trainable, other, slots)


parts = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
state = tuple([variable.value for variable in variables] for variables in parts)
for _ in range(100):
    loss, state = step(state, x, y)
