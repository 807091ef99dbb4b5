import sys
line = "x" * 1023 + "\n"
for _ in range(256 * 1024):
    sys.stdout.write(line)
print("the last line")
