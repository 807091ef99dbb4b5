# does: tf.keras is Keras 2 (the package tf_keras) instead of Keras 3
# how: TF_USE_LEGACY_KERAS=1 before the import of TensorFlow
# applies: tensorflow>=2.15; tf-keras
# breadth: 9

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"


def switch(tf_keras):
    if os.environ.get("TF_USE_LEGACY_KERAS") == "1":
        prelude.applied("TF_USE_LEGACY_KERAS=1, tf_keras " + tf_keras.__version__)


prelude.after_import("tf_keras", switch)
