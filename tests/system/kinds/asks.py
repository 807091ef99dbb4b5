epochs = int(input("How many epochs? "))
print("loss", 1 / epochs)
