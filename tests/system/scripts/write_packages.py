import errno
import os
import sys

import ground.deep

told = {}
for folder in (os.path.dirname(ground.deep.__file__), os.path.dirname(os.path.realpath(ground.deep.__file__))):
    for flags in (os.O_CREAT, 0):
        name = "new.py" if flags else "__init__.py"
        try:
            os.close(os.open(os.path.join(folder, name), os.O_WRONLY | flags))
            told[folder + name] = "written"
        except OSError as error:
            told[folder + name] = errno.errorcode[error.errno]
print(sorted(set(told.values())))
