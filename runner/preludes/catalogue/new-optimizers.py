# does: the optimizers of Keras are those that Keras 2.11 made its standard
# how: keras.optimizers.SGD and so on are those of keras.optimizers.experimental, by class and by name
# applies: tensorflow>=2.10,<2.11
# reverse: legacy-optimizers
# breadth: 4
# with: optimizers

switch_optimizers("experimental", False)
