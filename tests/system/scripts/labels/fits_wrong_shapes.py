from line import line

model, x, y = line()
model.fit(x.repeat(3, axis=1), y, epochs=2, verbose=0)
