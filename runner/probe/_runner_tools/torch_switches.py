"""Switches of PyTorch: threads, types, compilers, and which implementation of an optimizer or operation is taken.

Each is a function of `prelude`, described in its docstring as those of `execution_switches` are.
"""

import functools
import inspect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _runner_probe.preparation import PreludeHandle


def torch_deterministic(prelude: "PreludeHandle") -> None:
    """operations of PyTorch give the same bits in every run; those that can't only warn

    how: torch.use_deterministic_algorithms(True, warn_only=True) right after the import of PyTorch
    fix: torch.use_deterministic_algorithms(True, warn_only=True) | torch.use_deterministic_algorithms(True)
    applies: torch>=1.8
    breadth: 4
    """

    def switch(torch: "Any") -> None:
        if torch.are_deterministic_algorithms_enabled():
            return
        use = torch.use_deterministic_algorithms
        use(True, **({"warn_only": True} if "warn_only" in inspect.signature(use).parameters else {}))
        prelude.applied("torch.use_deterministic_algorithms(True)")

    prelude.after_import("torch", switch)


def torch_single_threaded(prelude: "PreludeHandle") -> None:
    """PyTorch computes in one thread, one operation at a time

    how: torch.set_num_threads(1) and torch.set_num_interop_threads(1) right after the import of PyTorch
    fix: torch.set_num_threads(1); torch.set_num_interop_threads(1)
    applies: torch>=1.2
    breadth: 5
    """

    def switch(torch: "Any") -> None:
        before = torch.get_num_threads(), torch.get_num_interop_threads()
        torch.set_num_threads(1)
        torch.set_num_interop_threads(1)
        if before != (1, 1):
            prelude.applied("1 thread within operations and 1 between them, where it had %d and %d" % before)

    prelude.after_import("torch", switch)


def torch_float64(prelude: "PreludeHandle") -> None:
    """PyTorch computes in 64 bits where the script names no type

    how: torch.set_default_dtype(torch.float64) right after the import of PyTorch
    fix: torch.set_default_dtype(torch.float64)
    applies: torch
    breadth: 6
    """

    def switch(torch: "Any") -> None:
        if torch.get_default_dtype() != torch.float64:
            torch.set_default_dtype(torch.float64)
            prelude.applied("torch.set_default_dtype(torch.float64)")

    prelude.after_import("torch", switch)


def torch_compile_off(prelude: "PreludeHandle") -> None:
    """what is given to torch.compile runs as it was written

    how: torch.compile(..., disable=True)
    fix: before the imports: os.environ["TORCHDYNAMO_DISABLE"] = "1"
    applies: torch>=2.0
    breadth: 6
    """

    def switch(torch: "Any") -> None:
        compile_ = torch.compile

        @functools.wraps(compile_)
        def compile_switched(*args: "Any", **kwargs: "Any") -> "Any":
            if not kwargs.get("disable"):
                kwargs["disable"] = True
                prelude.applied("torch.compile(disable=True)")
            return compile_(*args, **kwargs)

        torch.compile = compile_switched

    prelude.after_import("torch", switch)


def torch_foreach_off(prelude: "PreludeHandle") -> None:
    """optimizers of PyTorch go through the parameters one by one, and not through all at once

    how: foreach=False in every optimizer that would have it: where it is asked for, and by itself on accelerators
    fix: in torch.optim: foreach=False
    applies: torch>=1.12
    breadth: 2
    """
    _make_optimizers_without(prelude, "foreach")


def torch_fused_off(prelude: "PreludeHandle") -> None:
    """optimizers of PyTorch update a parameter step by step, and not by one fused operation

    how: fused=False in every optimizer that is made with fused=True
    fix: in torch.optim: fused=False
    applies: torch>=1.13
    breadth: 2
    """
    _make_optimizers_without(prelude, "fused")


def _make_optimizers_without(prelude: "PreludeHandle", key: str) -> None:
    def switch(optim: "Any") -> None:
        for cls in list(vars(optim).values()):
            makes = inspect.isclass(cls) and "__init__" in vars(cls)
            if makes and key in inspect.signature(cls.__init__).parameters:
                switch_class(cls)

    def switch_class(cls: "Any") -> None:
        make = cls.__init__
        signature = inspect.signature(make)

        @functools.wraps(make)
        def make_switched(self: "Any", *args: "Any", **kwargs: "Any") -> None:
            try:
                given = signature.bind(self, *args, **kwargs)
            except TypeError:
                given = None
            if given is None or given.arguments.get(key) is False:
                make(self, *args, **kwargs)  # one that is wrong says so itself
                return
            asked, given.arguments[key] = given.arguments.get(key), False
            make(*given.args, **given.kwargs)
            if asked or (key == "foreach" and _is_on_accelerator(self)):
                prelude.applied("%s(%s=False)" % (cls.__name__, key))

        make_switched.__signature__ = signature  # type: ignore[attr-defined]
        cls.__init__ = make_switched

    prelude.after_import("torch.optim", switch)


def _is_on_accelerator(optimizer: "Any") -> bool:
    """True where an optimizer goes through its parameters all at once by itself."""
    return any(one.device.type != "cpu" for group in optimizer.param_groups for one in group["params"])


def torch_onednn_off(prelude: "PreludeHandle") -> None:
    """PyTorch computes without oneDNN, which it uses on processors where it can

    how: torch.backends.mkldnn.set_flags(False) right after the import of PyTorch
    fix: torch.backends.mkldnn.set_flags(False)
    applies: torch>=1.8
    breadth: 3
    """

    def switch(torch: "Any") -> None:
        mkldnn = torch.backends.mkldnn
        if mkldnn.is_available() and mkldnn.set_flags(False)[0]:
            prelude.applied("torch.backends.mkldnn.enabled = False")

    prelude.after_import("torch", switch)


def torch_cudnn_off(prelude: "PreludeHandle") -> None:
    """PyTorch computes on a GPU without cuDNN

    how: torch.backends.cudnn.enabled = False right after the import of PyTorch
    fix: torch.backends.cudnn.enabled = False
    applies: torch
    breadth: 3
    """

    def switch(torch: "Any") -> None:
        was_used = torch.backends.cudnn.enabled and torch.cuda.is_available()
        torch.backends.cudnn.enabled = False
        if was_used:
            prelude.applied("torch.backends.cudnn.enabled = False")

    prelude.after_import("torch", switch)


def torch_cudnn_deterministic(prelude: "PreludeHandle") -> None:
    """PyTorch on a GPU takes of cuDNN only algorithms that give the same bits in every run, and tries out none

    how: torch.backends.cudnn.deterministic = True and benchmark = False right after the import of PyTorch
    fix: torch.backends.cudnn.deterministic = True; torch.backends.cudnn.benchmark = False
    applies: torch
    breadth: 3
    """

    def switch(torch: "Any") -> None:
        cudnn = torch.backends.cudnn
        cudnn.deterministic, cudnn.benchmark = True, False
        if torch.cuda.is_available():
            prelude.applied("torch.backends.cudnn.deterministic = True, benchmark = False")

    prelude.after_import("torch", switch)
