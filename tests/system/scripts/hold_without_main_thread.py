"""Holds 160 MB in files that have no name, in a process whose first thread has ended."""
import ctypes, os, threading, time
def hold():
    time.sleep(0.5)
    held = []
    for number in range(20):
        held.append(open("hidden", "w+b", buffering=0))
        os.unlink("hidden")
        held[-1].write(os.urandom(8 * 1024**2))
        time.sleep(0.05)
    time.sleep(30)
threading.Thread(target=hold).start()
ctypes.CDLL(None).syscall(60, 0)  # exit of this thread alone
