from line import line

model, x, y = line(learning_rate=1e-6)
model.fit(x, y, epochs=10, verbose=0)
