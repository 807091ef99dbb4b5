with open("endless", "wb", buffering=0) as file:
    while True:
        file.write(b"x" * 100_000)
