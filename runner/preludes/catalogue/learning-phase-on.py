# does: layers are in the training phase everywhere, in evaluation and prediction too
# how: keras.backend.learning_phase() is 1 in every Keras
# applies: tensorflow<2
# reverse: learning-phase-off
# breadth: 4
# with: phases

hold_learning_phase(1)
