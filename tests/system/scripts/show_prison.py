import json
import os
import socket


def attempt(what):
    try:
        what()
    except OSError as error:
        return type(error).__name__ + " " + str(error.errno)
    return "done"


def status(name):
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(name + ":"))


print(
    json.dumps(
        {
            "uid": os.getuid(),
            "interfaces": [name for _, name in socket.if_nameindex()],
            "connect": attempt(lambda: socket.create_connection(("192.0.2.1", 80), 2)),
            "root": attempt(lambda: open("/planted", "w")),
            "environment": attempt(lambda: open("/env/planted", "w")),
            "probe": attempt(lambda: open("/runner/probe/planted", "w")),
            "beside the channel": attempt(lambda: open("/runner/planted", "w")),
            "remove the channel": attempt(lambda: os.unlink("/runner/record/channel")),
            "replace the channel": attempt(lambda: os.rename("/work/show_prison.py", "/runner/record/channel")),
            "data": attempt(lambda: open("data.txt", "w")),
            "channel": attempt(lambda: open("/runner/record/channel", "a")),
            "capabilities": int(status("CapEff"), 16) | int(status("CapBnd"), 16),
            "no new privileges": status("NoNewPrivs"),
            "seccomp": status("Seccomp"),
            "hostname": socket.gethostname(),
            "finds itself": attempt(lambda: socket.getaddrinfo(socket.gethostname(), 80)),
        }
    )
)
