import json
import multiprocessing.connection
import os
import resource
import sys
import tempfile

import tiny

print(
    json.dumps(
        {
            "env": dict(os.environ),
            "cwd": os.getcwd(),
            "argv": sys.argv,
            "main": __name__,
            "path0": sys.path[0],
            "tiny": tiny.ANSWER,
            "cached": tiny.__cached__,
            "tempdir": tempfile.gettempdir(),
            "tmp": os.path.realpath(tempfile.gettempdir()),
            "socket": multiprocessing.connection.Listener(family="AF_UNIX").address,
            "cpus": sorted(os.sched_getaffinity(0)),
            "umask": os.umask(0),
            "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
            "fds": sorted(os.listdir("/proc/self/fd")),
        }
    )
)
