"""Supervises one job that has no container around it: starts it, passes orders on, ends everything that it left behind.

The `venv` engine runs this file by itself (`python -I -S supervisor.py`): standard library only, nothing of `runner`.
Standard input brings one line of JSON (`argv`, `env`, `folder`, `cpus`, `file_bytes`, `processes`, `short_tmp`, `linux`, and
`read_only` paths with the `root` of what the job may write), then orders: `T` asks the job to end, `K` ends it and all its descendants, and so does the end of the input, which means that the runner
is gone. Standard output takes one line of JSON at the end; the job writes to this process's standard error.
"""

from typing import TYPE_CHECKING, Any
import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time

if TYPE_CHECKING:
    from collections.abc import Iterator

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS = 0x20000
CLONE_NEWUSER = 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
MS_KEPT = 0x2 | 0x4 | 0x8
"""nosuid, nodev and noexec, which a mount keeps."""
GIVE_UP_S = 10.0
SPARE_THREADS = 1024
"""Room for the user's other programs and jobs, so that what they start does not count against this job."""


class CannotStartError(Exception):
    """The job's program could not be executed."""


def prctl(option: int, value: int) -> None:
    """Set one attribute of this process, as Linux has them."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")


def mount(source: "str | None", target: str, flags: int) -> None:
    """One mount, as mount(2) makes it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source and os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None):
        number = ctypes.get_errno()
        raise OSError(number, f"mount {target}: {os.strerror(number)}")


def protect(read_only: "list[str]", root: str) -> None:
    """Make paths read-only for this process and what it starts, but for what is below `root`.

    That takes mounts of its own, and where it is not privileged a user namespace. Raises OSError where the kernel does
    not allow it.
    """
    uid, gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS):
            number = ctypes.get_errno()
            raise OSError(number, f"unshare: {os.strerror(number)}")
        prctl(PR_SET_DUMPABLE, 1)  # or the files below belong to root
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    mount(None, "/", MS_REC | MS_PRIVATE)
    mount(root, root, MS_BIND)
    for path in read_only:
        mount(path, path, MS_BIND | MS_REC)
        mount(None, path, MS_REMOUNT | MS_BIND | MS_RDONLY | os.statvfs(path).f_flag & MS_KEPT)


def read_spec() -> dict[str, Any]:
    """The first line of standard input, decoded; unbuffered, so that no order behind it is swallowed."""
    with open(0, "rb", buffering=0, closefd=False) as stream:
        line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError("the runner ended before it said what to run")
    spec: dict[str, Any] = json.loads(line)
    return spec


def processes(linux: bool = sys.platform == "linux") -> dict[int, tuple[int, int, int]]:
    """Every process as {pid: (parent's pid, owner's uid, threads)}; where the kernel is not Linux, one thread each."""
    if not linux:
        return told_by_ps()
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
                found[int(name)] = int(fields[1]), os.fstat(file.fileno()).st_uid, int(fields[17])
    return found


def told_by_ps() -> dict[int, tuple[int, int, int]]:
    """Every process but `ps` itself, in the form of `processes`."""
    import subprocess

    with subprocess.Popen(["/bin/ps", "-A", "-o", "pid=,ppid=,uid="], stdout=subprocess.PIPE) as ps:
        lines = ps.communicate()[0].splitlines()
    rows = (tuple(int(number) for number in line.split()) for line in lines)
    return {pid: (parent, uid, 1) for pid, parent, uid in rows if pid != ps.pid}


def descendants(root: int, linux: bool = sys.platform == "linux") -> list[int]:
    """The pids of all processes below `root`, parents first."""
    children: dict[int, list[int]] = {}
    for pid, (parent, _, _) in processes(linux).items():
        children.setdefault(parent, []).append(pid)
    found = list(children.get(root, ()))
    for pid in found:
        found += children.get(pid, ())
    return found


def set_limits(file_bytes: int, processes_allowed: int, linux: bool) -> None:
    """Limit this process and what it starts: file size, no core dumps, and processes where the user is not root."""
    import resource

    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: file_bytes}
    if os.getuid() != 0:
        mine = sum(threads for _, uid, threads in processes(linux).values() if uid == os.getuid())
        limits[resource.RLIMIT_NPROC] = mine + processes_allowed + SPARE_THREADS
    for limit, value in limits.items():
        hardest = resource.getrlimit(limit)[1]
        allowed = value if hardest == resource.RLIM_INFINITY else min(value, hardest)
        resource.setrlimit(limit, (allowed, allowed))


def become(spec: dict[str, Any], supervisor: int) -> None:
    """Turn this forked process into the job; returns only by an exception."""
    os.setsid()
    if spec["linux"]:
        if spec["read_only"]:
            with contextlib.suppress(OSError):  # then only its permissions keep the job from writing there
                protect(spec["read_only"], spec["root"])
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")  # where the machine's memory runs out, the job goes before the runner
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, spec["cpus"])
    set_limits(spec["file_bytes"], spec["processes"], spec["linux"])
    os.umask(0o022)
    os.chdir(spec["folder"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    os.execve(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - no shell is wanted


def start(spec: dict[str, Any]) -> int:
    """Fork the job and return its pid. Raises CannotStartError with the reason where it could not be executed."""
    supervisor = os.getpid()
    reason, report = os.pipe()  # closed by a successful exec
    pid = os.fork()
    if pid == 0:
        try:
            become(spec, supervisor)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the supervisor says it
            os.write(report, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(127)
    os.close(report)
    with open(reason, "rb") as stream:
        said = stream.read().decode("utf-8", "replace")
    if said:
        raise CannotStartError(said)
    return pid


class Supervisor:
    """Waits for a job and for everything that descends from it."""

    def __init__(self, child: int, linux: bool) -> None:
        self.child = child
        self.linux = linux
        self.status: int | None = None
        self.alone = False

    def reap(self) -> None:
        """Take note of every process that ended."""
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self.child:
                    self.status = status
        except ChildProcessError:
            self.alone = True

    def ask_to_end(self) -> None:
        """Send SIGTERM to the job's process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child, signal.SIGTERM)

    def end_all(self) -> None:
        """Kill the job and its descendants until none is left.

        Under Linux orphans are this process's children (subreaper); elsewhere those of the job's group are found here,
        and whoever started this process looks for others.
        """
        deadline = time.monotonic() + GIVE_UP_S
        self.reap()
        while not self.alone and time.monotonic() < deadline:
            if not self.linux:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.child, signal.SIGKILL)  # all at once: `ps` is slow where there are many
            for pid in descendants(os.getpid(), self.linux) or [self.child]:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
            self.reap()

    def wait(self, children_ended: int) -> None:
        """Wait for the job's own end, obeying orders meanwhile."""
        while self.status is None and not self.alone:
            ready, _, _ = select.select([0, children_ended], [], [])
            if children_ended in ready:
                os.read(children_ended, 4096)
                self.reap()
            elif 0 in ready:
                orders = os.read(0, 64)
                if not orders or b"K" in orders:
                    return
                self.ask_to_end()


def listen_for_children() -> int:
    """A descriptor that can be read when a child has ended; other signals that a job could send do nothing."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.set_blocking(reading, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reading


def supervise(child: int, children_ended: int, linux: bool) -> dict[str, Any]:
    """Wait for the end of a job, end what it left behind, and return the report."""
    began = time.monotonic()
    supervisor = Supervisor(child, linux)
    supervisor.wait(children_ended)
    duration_s = time.monotonic() - began
    supervisor.end_all()
    if supervisor.status is None:
        return {"error": f"process {child} does not end"}
    import resource

    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"status": supervisor.status, "duration_s": duration_s, "peak_bytes": peak}


@contextlib.contextmanager
def short_tmp(spec: dict[str, Any]) -> "Iterator[None]":
    """Give the job's TMPDIR a short name as long as it runs.

    Programs put sockets there, multiprocessing to hand on tensors, and a socket's path has at most 107 bytes.
    """
    link, folder = spec["short_tmp"], spec["env"]["TMPDIR"]
    try:
        if os.path.islink(link) and (os.readlink(link) == folder or not os.path.exists(link)):
            os.unlink(link)  # a supervisor that was killed left it, of this job or of one whose folder is gone
        os.symlink(folder, link)
    except OSError:
        yield  # it does with the long name
        return
    spec["env"]["TMPDIR"] = link
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(link)


def main() -> None:
    """Run one job to its end and report it."""
    children_ended = listen_for_children()
    try:
        spec = read_spec()
        if spec["linux"]:
            prctl(PR_SET_CHILD_SUBREAPER, 1)
            prctl(PR_SET_DUMPABLE, 0)  # the job can't reach into this process and forge its own ending
        with short_tmp(spec):
            report = supervise(start(spec), children_ended, spec["linux"])
    except (CannotStartError, EOFError) as error:
        report = {"error": str(error)}
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(report).encode() + b"\n")


if __name__ == "__main__":
    main()
