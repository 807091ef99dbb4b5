print("the first line")
while True:
    print("x" * 1000)
