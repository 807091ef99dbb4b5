# does: layers are in the inference phase everywhere, in training too: no dropout, moving statistics
# how: keras.backend.learning_phase() is 0 in every Keras
# applies: tensorflow<2
# reverse: learning-phase-on
# breadth: 4
# with: phases

hold_learning_phase(0)
