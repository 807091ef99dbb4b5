"""The number of this process among those that train one model together, as launchers and frameworks tell it."""

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VARIABLES = ("RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "HOROVOD_RANK", "SLURM_PROCID", "LOCAL_RANK")
"""Set by torchrun and its like, by MPI's launchers, Horovod's and SLURM's; the last one counts on one machine."""
CHIEFS = ("chief", "master")


def rank() -> "int | None":
    """The rank as it is known by now; None where the process trains by itself."""
    for tell in (_of_torch, _of_jax, _of_variables, _of_tensorflow):
        try:
            found = tell()
        except Exception:
            continue
        if found is not None and found >= 0:
            return found
    return None


def _of_torch() -> "int | None":
    distributed: Any = sys.modules.get("torch.distributed")
    return int(distributed.get_rank()) if distributed is not None and distributed.is_initialized() else None


def _of_jax() -> "int | None":
    distributed: Any = sys.modules.get("jax._src.distributed")
    state = None if distributed is None else distributed.global_state
    return None if state is None or state.client is None else int(state.process_id)


def _of_variables() -> "int | None":
    return next((int(os.environ[name]) for name in VARIABLES if os.environ.get(name, "").isdigit()), None)


def _of_tensorflow() -> "int | None":
    """The chief is the first one, or else the first worker; the processes of other tasks train nothing together."""
    config = json.loads(os.environ.get("TF_CONFIG", "{}"))
    kind, index = config["task"]["type"], int(config["task"]["index"])
    if kind in CHIEFS:
        return 0
    return index + any(chief in config["cluster"] for chief in CHIEFS) if kind == "worker" else None
