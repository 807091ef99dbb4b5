from line import keras, line

model, x, y = line()
rates = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 if epoch < 2 else 1e30)
model.fit(x, y, batch_size=8, epochs=6, verbose=0, callbacks=[rates])
