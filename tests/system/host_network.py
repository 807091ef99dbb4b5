"""Hosts of their own on this machine: network namespaces with an address each, on a switch that this process is on too.

A host has its own name and network, and what is started on it is seen by nobody else's; it shares this machine's files
and processors. It has no way to the package index: what a worker there needs comes from home.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMED = 'hostname "$0" && exec "$@"'


@dataclass(frozen=True, kw_only=True)
class Host:
    """A network namespace, and its end of the cable on the switch."""

    name: str
    address: str
    space: str
    switch: str

    def command(self, *command: str) -> tuple[str, ...]:
        """A command as it is started there. `nsenter`, since `ip netns exec` hides the folder of the devices cgroup."""
        within = ("nsenter", f"--net=/run/netns/{self.space}", "unshare", "--uts", "sh", "-c", _NAMED)
        return (*within, self.name, *command)

    def processes(self) -> list[int]:
        """The processes that have this network, those of containers without one apart."""
        return [int(pid) for pid in _ip("netns", "pids", self.space).split()]

    def cut(self) -> None:
        """Pull the cable."""
        _ip("-n", self.switch, "link", "set", f"to-{self.name}", "down")

    def mend(self) -> None:
        """Plug it in again."""
        _ip("-n", self.switch, "link", "set", f"to-{self.name}", "up")


def why_no_hosts() -> str:
    """Why no host of its own can be made here; empty where one can."""
    if os.geteuid() != 0:
        return "a network namespace needs root"
    missing = [command for command in ("hostname", "ip", "nsenter", "unshare") if shutil.which(command) is None]
    if missing:
        return f"{', '.join(missing)} not found"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


@contextlib.contextmanager
def host_network(*names: str) -> Iterator[dict[str, Host]]:
    """Make hosts with an address each, which reach one another and this process; all goes in the end."""
    token = secrets.token_bytes(2)
    tag, net = token.hex(), f"10.{64 + token[0] % 128}.{token[1]}"
    switch = f"cm{tag}-switch"
    hosts = {
        name: Host(name=name, address=f"{net}.{number}", space=f"cm{tag}-{name}", switch=switch)
        for number, name in enumerate(names, start=2)
    }
    with contextlib.ExitStack() as made:
        _make_space(switch, made)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")  # there no firewall of this machine's is asked
        _ip("-n", switch, "link", "set", "bridge", "up")
        _plug(f"cm{tag}", switch, "home")
        _ip("address", "add", f"{net}.1/24", "dev", f"cm{tag}")
        for host in hosts.values():
            _make_space(host.space, made)
            _plug(f"cm{tag}", switch, host.name, host.space)
            _ip("-n", host.space, "address", "add", f"{host.address}/24", "dev", f"cm{tag}")
        yield hosts


def _make_space(name: str, made: contextlib.ExitStack) -> None:
    _ip("netns", "add", name)
    made.callback(_remove_space, name)
    _ip("-n", name, "link", "set", "lo", "up")


def _remove_space(name: str) -> None:
    """End whatever was started there and not ended: a namespace lives as long as a process of its own."""
    for pid in _ip("netns", "pids", name).split():
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(int(pid)).kill()
    _ip("netns", "delete", name)


def _plug(link: str, switch: str, name: str, space: str = "") -> None:
    """Lead a cable from a port of the switch to a namespace, or to this one."""
    port = f"to-{name}"
    _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", link, "netns", space or str(os.getpid()))
    _ip("-n", switch, "link", "set", port, "master", "bridge", "up")
    _ip(*(("-n", space) if space else ()), "link", "set", link, "up")


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout
