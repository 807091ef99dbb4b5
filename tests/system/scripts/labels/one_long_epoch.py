from line import line

model, x, y = line(learning_rate=0.02, noise=0.1)
model.fit(x.repeat(8, axis=0), y.repeat(8, axis=0), batch_size=1, epochs=1, verbose=0)
