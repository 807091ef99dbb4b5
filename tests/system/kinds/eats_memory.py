kept = []
while True:
    kept.append(bytearray(b"x" * 10_000_000))
