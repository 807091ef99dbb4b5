"""Each switch of the catalogue as a person writes it: the `fix:` has the effect that the switch has, on its stacks.

What `explain --fix` would try is tried in its order, in the scripts that the switches themselves are tested with; one
way must do it. With RUNNER_ALL_STACKS=1 on two further stacks.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from probe_stacks import TF1, TORCH_AND_JAX, execute, stack
from test_switches import GROUPS, MORE, MORE_ONLY, SCRIPT, Group
from test_torch_and_jax import CHANGES, LOOKS

from runner.explain.candidates import ways_of
from runner.preludes.prelude import FixPlace, catalogue
from runner.scripts.source import edited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

__all__ = ["stack"]

EITHER_KERAS = """if "{flavour}" == "keras":
    import keras
else:
    from tensorflow import keras
"""
IMPORTS = {"keras": "import keras\n", "tf.keras": "from tensorflow import keras\n"}
NO_WAY = {
    (TF1, "keras", "unfused-normalization"): "BatchNormalization of native Keras has no argument for it",
    (TF1, "tf.keras", "control-flow-v2"): "without the switch that it is tested beside, reference variables, it raises",
}
"""Where what is written works elsewhere only: the switch reaches further than a script can."""


def marks_of(one: Group, name: str) -> list[pytest.MarkDecorator]:
    found = [MORE_ONLY] if one.stack in MORE else []
    if reason := NO_WAY.get((one.stack, one.flavour, name)):
        found.append(pytest.mark.xfail(strict=True, reason=reason))
    return found


WRITTEN = [
    pytest.param(one.stack, one.flavour, name, change, id=f"{one.stack}-{one.flavour}-{name}", marks=marks)
    for one in GROUPS
    for name, change in one.changes.items()
    for marks in [marks_of(one, name)]
    if catalogue()[name].fix.place is not FixPlace.NOWHERE
]
LOOKS_AS_WRITTEN = LOOKS.replace(
    'optim("AdamW", foreach=True)', "torch.optim.AdamW(model.parameters(), foreach=True).param_groups[0]"
).replace('optim("Adam", fused=True)', "torch.optim.Adam(model.parameters(), fused=True).param_groups[0]")
"""The same with optimizers that are made by their names."""
OF_TORCH = [name for name in CHANGES if catalogue()[name].fix.place is not FixPlace.NOWHERE]


def written(name: str, text: str) -> Iterator[tuple[str, str]]:
    """A script with each way to write a switch that finds a place in it, and the way in words."""
    user = SimpleNamespace(script=lambda: SimpleNamespace(path="script.py"), legacy_keras={})
    for way in ways_of(user, name):
        if edits := list(way.edits(text, "script.py")):
            yield way.says, edited(text, edits)


@pytest.mark.parametrize(("name", "flavour", "switch", "change"), WRITTEN)
def test_a_switch_that_is_written_in_a_script_has_the_effect_of_the_switch(
    name: str,
    flavour: str,
    switch: str,
    change: tuple[str, Any, Any],
    stack: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    what, _, wanted = change
    assert EITHER_KERAS in SCRIPT
    text = SCRIPT.replace(EITHER_KERAS, IMPORTS[flavour]).format()
    seen = {}
    for says, script in written(switch, text):
        run = execute(stack(name), tmp_path, script, RUNNER_SEED="1")
        seen[says] = run.result[what] if run.exit_code == 0 else run.errors.strip().splitlines()[-1:]
        if seen[says] == wanted:
            return
    pytest.fail(f"{what} must be {wanted}, and was, by what was written: {seen}")


@pytest.mark.torch
@pytest.mark.parametrize("switch", OF_TORCH)
def test_a_switch_of_torch_jax_or_scikit_learn_that_is_written_has_its_effect(
    switch: str, stack: Callable[[str], Path], tmp_path: Path
) -> None:
    wanted = CHANGES[switch][1]
    seen = {}
    for says, script in written(switch, LOOKS_AS_WRITTEN):
        run = execute(stack(TORCH_AND_JAX), tmp_path, script, RUNNER_SEED="1")
        seen[says] = run.result[switch] if run.exit_code == 0 else run.errors.strip().splitlines()[-1:]
        if seen[says] == wanted:
            return
    pytest.fail(f"{switch} must come to {wanted}, and came, by what was written, to {seen}")
