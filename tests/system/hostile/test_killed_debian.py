"""A runner that is killed while it makes a Debian: no process stays and no mount, and its files go with the next."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from waiting import until

from runner.own_folder import forget_begun

SCRIPT = """\
work=$(mktemp -d "$(dirname "$4")/debian.XXXXXX")
mkdir -p "$work/root/proc"
mount -t proc proc "$work/root/proc"
echo $$ > "$work/ready"
sleep 1000 & wait
"""
MAKE = """
import sys
from pathlib import Path
from runner.engines.docker.offline_images import make_debian
make_debian(Path(sys.argv[1]), "trixie", "http://nowhere", [sys.argv[2]], Path(sys.argv[3], "debian.tar"))
"""


def commands() -> str:
    """The command lines of all processes, as one text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


def test_a_killed_maker_of_a_debian_leaves_no_process_and_no_mount(tmp_path: Path, not_run) -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        not_run("a Debian is made by root, on Linux")
    script, place = tmp_path / "make", tmp_path / "cache"
    script.write_text(SCRIPT)
    place.mkdir()
    token = f"package-{os.urandom(8).hex()}"
    with subprocess.Popen([sys.executable, "-c", MAKE, script, token, place]) as maker:
        until(lambda: list(place.glob(".begun-*/debian.*/ready")), "the script's work")
        assert token in commands()
        maker.kill()
    until(lambda: token not in commands(), "the end of the script")
    assert str(place) not in Path("/proc/self/mounts").read_text()
    forget_begun(place)
    assert list(place.iterdir()) == []
