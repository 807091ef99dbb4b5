"""The runner with a fault at the N-th place where it touches the world: `python faulty.py FAULT N TOUCHES ARGUMENT…`.

FAULT is `kill` (SIGKILL before the place is reached), the name of an errno (the call fails with it), or `none`. What is
touched is appended to the file TOUCHES, a line each: files opened for writing, made, moved, removed, locked and synced,
statements of the database, connections and what is sent over them, programs started. Reads change nothing and are not
counted.
"""

from __future__ import annotations

import errno
import os
import runpy
import signal
import socket
import sqlite3
import sys
import threading
from typing import Any

EVENTS = frozenset({
    "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.truncate", "os.utime",
    "fcntl.flock", "fcntl.lockf", "socket.connect", "socket.getaddrinfo", "subprocess.Popen",
})  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
IN_SQLITE = {"ENOSPC": "database or disk is full", "EIO": "disk I/O error", "EACCES": "unable to open database file"}


class Faults:
    """Counts what the interpreter's audit events tell (https://docs.python.org/3/library/audit_events.html)."""

    def __init__(self, fault: str, number: int, touches: str) -> None:
        self.fault, self.number, self.count = fault, number, 0
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.told = os.open(touches, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITING and not str(path).startswith(("/dev/", "/proc/")):
                self.touch(event, path)
        elif event in EVENTS:
            self.touch(event, arguments[1] if event == "socket.connect" else arguments[0])

    def touch(self, event: str, what: object) -> None:
        """Count a touch; where it is the one, the process dies or the call fails."""
        if os.getpid() != self.pid:
            return
        with self.lock:
            self.count += 1
            is_the_one = self.count == self.number
            os.write(self.told, f"{self.count} {event} {str(what)[:200]!r}\n".encode(errors="replace"))
        if not is_the_one or self.fault == "none":
            return
        if self.fault == "kill":
            os.kill(self.pid, signal.SIGKILL)
        if event == "sqlite":
            raise sqlite3.OperationalError(IN_SQLITE.get(self.fault, "disk I/O error"))
        # connect(2) knows no ECONNRESET: whom the other side turns away while connecting, it was refused by
        refused = event == "socket.connect" and self.fault == "ECONNRESET"
        number = errno.ECONNREFUSED if refused else getattr(errno, self.fault)
        raise OSError(number, os.strerror(number), str(what))

    def watch(self) -> None:
        """Watch the events, and what has none: fsync, statements of the database, what is sent."""
        faults, fsync, sendall = self, os.fsync, socket.socket.sendall

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, *rest: Any) -> sqlite3.Cursor:
                faults.touch("sqlite", statement)
                return super().execute(statement, *rest)

            def executemany(self, statement: str, *rest: Any) -> sqlite3.Cursor:
                faults.touch("sqlite", statement)
                return super().executemany(statement, *rest)

            def commit(self) -> None:
                faults.touch("sqlite", "COMMIT")
                super().commit()

            def __exit__(self, *what: object) -> Any:
                faults.touch("sqlite", "end of a transaction")
                return super().__exit__(*what)  # type: ignore[arg-type]

        def synced(descriptor: int) -> None:
            faults.touch("os.fsync", descriptor)
            fsync(descriptor)

        def sent(sock: socket.socket, data: Any, *rest: Any) -> None:
            try:
                faults.touch("socket.send", bytes(data)[:60])
            except OSError:
                sock.shutdown(socket.SHUT_RDWR)  # so is a connection that failed: who waits for an answer hears of it
                raise
            sendall(sock, data, *rest)

        connect = sqlite3.connect
        sqlite3.connect = lambda *rest, **more: connect(*rest, **{"factory": Connection, **more})  # type: ignore[assignment]
        os.fsync = synced  # type: ignore[assignment]
        socket.socket.sendall = sent  # type: ignore[method-assign,assignment]
        sys.addaudithook(self)


def main() -> None:
    """Run the runner's command line with the fault."""
    fault, number, touches, *arguments = sys.argv[1:]
    faults = Faults(fault, int(number), touches)
    faults.watch()
    sys.argv = ["runner", *arguments]
    runpy.run_module("runner", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
