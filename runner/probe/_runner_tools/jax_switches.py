"""Switches of JAX: types, compilation, the precision of products of matrices, and its random numbers.

Each is a function of `prelude`, described in its docstring as those of `execution_switches` are.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from _runner_probe.preparation import PreludeHandle


def jax_x64(prelude: "PreludeHandle") -> None:
    """JAX has numbers of 64 bits: what names no type gets them, and what asks for them too

    how: jax.config.update("jax_enable_x64", True) right after the import of JAX
    fix: jax.config.update("jax_enable_x64", True)
    applies: jax
    breadth: 6
    """
    _set(prelude, "jax_enable_x64", True)


def jax_jit_off(prelude: "PreludeHandle") -> None:
    """functions of JAX run operation by operation, and not compiled as a whole

    how: jax.config.update("jax_disable_jit", True) right after the import of JAX
    fix: jax.config.update("jax_disable_jit", True)
    applies: jax
    breadth: 7
    """
    _set(prelude, "jax_disable_jit", True)


def jax_matmul_highest(prelude: "PreludeHandle") -> None:
    """JAX multiplies matrices as exactly as it can, where the script does not say how

    how: jax.config.update("jax_default_matmul_precision", "highest") right after the import of JAX
    fix: jax.config.update("jax_default_matmul_precision", "highest")
    applies: jax>=0.2.10
    breadth: 3
    """
    _set(prelude, "jax_default_matmul_precision", "highest")


def jax_threefry_partitionable(prelude: "PreludeHandle") -> None:
    """JAX draws the random numbers that it has drawn since 0.5: other ones from the same key

    how: jax.config.update("jax_threefry_partitionable", True) right after the import of JAX
    fix: jax.config.update("jax_threefry_partitionable", True)
    applies: jax>=0.4.1,<0.5
    reverse: jax-threefry-original
    breadth: 2
    """
    _set(prelude, "jax_threefry_partitionable", True)


def jax_threefry_original(prelude: "PreludeHandle") -> None:
    """JAX draws the random numbers that it drew before 0.5: other ones from the same key

    how: jax.config.update("jax_threefry_partitionable", False) right after the import of JAX
    fix: jax.config.update("jax_threefry_partitionable", False)
    applies: jax>=0.5
    reverse: jax-threefry-partitionable
    breadth: 2
    """
    _set(prelude, "jax_threefry_partitionable", False)


def _set(prelude: "PreludeHandle", option: str, value: "bool | str") -> None:
    def switch(jax: "Any") -> None:
        before = getattr(jax.config, option)
        if before != value:
            jax.config.update(option, value)
            prelude.applied("%s = %s, where it was %s" % (option, value, before))

    prelude.after_import("jax", switch)
