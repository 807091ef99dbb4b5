from line import line

model, x, y = line(noise=0.3)
model.fit(x, y, batch_size=16, epochs=20, verbose=0)
