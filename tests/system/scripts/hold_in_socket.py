"""Holds 160 MB in files that have no name, and whose descriptors are on their way through a socket."""
import array, os, socket, time
left, right = socket.socketpair()
for number in range(20):
    with open("hidden", "w+b", buffering=0) as file:
        os.unlink("hidden")
        file.write(os.urandom(8 * 1024**2))
        left.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()]))])
    time.sleep(0.05)
time.sleep(30)
