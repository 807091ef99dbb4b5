# does: the optimizers of Keras are those from before Keras 2.11
# how: keras.optimizers.SGD and so on are those of keras.optimizers.legacy, by class and by name
# applies: tensorflow>=2.11,<2.16
# reverse: new-optimizers
# breadth: 4
# with: optimizers

switch_optimizers("legacy", True)
