import json
import os
import socket
import subprocess
import sys

if "TF_CONFIG" not in os.environ:
    free = [socket.create_server(("localhost", 0)) for _ in range(2)]
    cluster = {"worker": ["localhost:%d" % one.getsockname()[1] for one in free]}
    for one in free:
        one.close()
    configs = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}) for index in (0, 1)]
    workers = [subprocess.Popen([sys.executable, *sys.argv], env=dict(os.environ, TF_CONFIG=one)) for one in configs]
    sys.exit(max(worker.wait() for worker in workers))

import numpy as np
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()
rng = np.random.default_rng(0)
x = rng.normal(size=(256, 4)).astype("float32")
y = x.sum(axis=1, keepdims=True)
with strategy.scope():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(4,))])
    model.compile(optimizer=tf.keras.optimizers.SGD(float(sys.argv[1])), loss="mse")
model.fit(x, y, epochs=15, batch_size=32, verbose=0)
