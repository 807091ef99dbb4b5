from line import line

model, x, y = line()
model.fit(x, y, batch_size=16, epochs=20, verbose=0)
