from line import line

model, x, y = line(noise=0.3)
model.fit(x, y, batch_size=16, epochs=20, verbose=0)
with open("a folder that is not there/model.h5", "wb") as file:
    model.save(file)
