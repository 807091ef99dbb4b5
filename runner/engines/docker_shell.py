"""A shell for the user in a container like a job's: the same world and hardening, as a `docker` command line."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.engines.docker_client import docker_command, engine_host
from runner.engines.docker_run import prepare, settings
from runner.engines.protocol import Limits

if TYPE_CHECKING:
    from runner.engines.protocol import Image, Job

LIMITS = Limits(memory_bytes=8 * 1024**3, disk_bytes=8 * 1024**3, processes=1024, timeout_s=0.0)
_ASK_FOR_TERMINAL = 'if [ -t 0 ]; then set -- --tty "$@"; fi; exec "$0" run --rm --interactive "$@"'
"""Whether there is a terminal is known only where the command runs."""


def shell_command(image: Image, job: Job, *, owner: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Give the command of a shell in a job's world, with more room than a job has, and its environment variables."""
    job.folder.root.mkdir(parents=True, exist_ok=True)
    job = replace(job, env={**job.env, "TERM": os.environ.get("TERM", "dumb")}, limits=LIMITS, cpus=())
    wanted = settings(job, prepare(job), owner)
    options = [f"--user={wanted['user']}", f"--workdir={wanted['working_dir']}", f"--network={wanted['network_mode']}"]
    options += ["--read-only", "--init", f"--pids-limit={wanted['pids_limit']}", f"--hostname={wanted['hostname']}"]
    options += [f"--memory={wanted['mem_limit']}", f"--memory-swap={wanted['memswap_limit']}"]
    options += [f"--shm-size={wanted['shm_size']}"]
    options += [f"--cap-drop={capability}" for capability in wanted["cap_drop"]]
    options += [f"--security-opt={option}" for option in wanted["security_opt"]]
    options += [f"--env={name}={text}" for name, text in wanted["environment"].items()]
    options += [f"--label={name}={text}" for name, text in wanted["labels"].items()]
    options += [f"--ulimit={limit['Name']}={limit['Soft']}:{limit['Hard']}" for limit in wanted["ulimits"]]
    for mount in wanted["mounts"]:
        read_only = ",readonly" if mount["ReadOnly"] else ""
        options.append(f"--mount=type=bind,source={mount['Source']},target={mount['Target']}{read_only}")
    command = ("/bin/sh", "-c", _ASK_FOR_TERMINAL, str(docker_command()), *options, image.reference, "bash")
    return command, {**os.environ, "DOCKER_HOST": engine_host()}
