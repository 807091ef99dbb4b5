"""What the probe tells of training with PyTorch, with a `torch` that has nothing but the classes it looks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from probe_world import EVERY_PYTHON, OLDEST_AND_NEWEST, TORCH_MODEL, Told, raised_later, run, trained

if TYPE_CHECKING:
    from pathlib import Path


def losses(told: Told) -> dict[str, list[float]]:
    """The losses of the steps of each loop; fewer than 64 steps are told one by one, and each has one."""
    found = {loop["phase"]: loop for loop in told.of("loop")}
    assert [loop["steps"] for loop in found.values()] == [len(loop["logs"]["loss"]) for loop in found.values()]
    return {phase: loop["logs"]["loss"] for phase, loop in found.items()}


@EVERY_PYTHON
def test_an_optimizer_s_steps_are_a_loop_whose_epochs_are_those_of_the_loader_in_which_it_trains(
    python: Path, tmp_path: Path
) -> None:
    script = """
criterion = torch.nn.MSELoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.25)
loader, validation = torch.utils.data.DataLoader([4.0, 2.0, 1.0]), torch.utils.data.DataLoader([1.0])
for epoch in range(2):
    for batch in loader:
        optimizer.zero_grad()
        net.loss(batch + epoch).backward()
        optimizer.step()
    for batch in validation:
        net.loss(batch)
print(torch.optim.SGD.step.__doc__, len(validation.__dict__))
"""
    told = trained(python, tmp_path, TORCH_MODEL + script, out="Takes a step. 2\n")
    assert [(stage["stage"], stage["phase"]) for stage in told.of("stage")] == [
        ("build-model", ""),
        ("training", "loop-1"),
    ]
    begin, end = told.only("phase"), told.only("phase-end")
    assert (begin["name"], begin["model"], begin["model_number"]) == ("loop-1", "Net", 1)
    assert begin["initial_weights"] not in {None, end["final_weights"]}
    assert [(epoch["epoch"], epoch["logs"]) for epoch in told.of("epoch")] == [
        (1, {"loss": pytest.approx(7 / 3)}),
        (2, {"loss": pytest.approx(10 / 3)}),
    ]
    assert [epoch["learning_rate"] for epoch in told.of("epoch")] == [0.25, 0.25]
    assert losses(told) == {"loop-1": [4.0, 2.0, 1.0, 5.0, 3.0, 2.0]}
    configs = {one["what"]: one["config"] for one in told.of("config")}
    assert configs["model"] == '{"class_name": "Net", "config": {"layers": [{"class_name": "Net", "config": {}}]}}'
    assert configs["optimizer"] == '{"class_name": "SGD", "config": {"lr": 0.25}}'
    assert configs["loss"] == '{"class_name": "MSELoss", "config": {"reduction": "mean"}}'


LOSSES: list[tuple[str, str, dict[str, list[float]]]] = [
    (
        "several losses before a step are one, their sum",
        """
for step in range(3):
    for batch in (0.5, 0.25):
        net.loss(batch + step).backward()
    optimizer.step()
    optimizer.zero_grad()
""",
        {"loop-1": [0.75, 2.75, 4.75]},
    ),
    (
        "a loss whose gradients are dropped is no step's",
        """
for step in range(3):
    optimizer.zero_grad()
    net.loss(step + 1.0).backward()
    if step != 1:
        optimizer.step()
""",
        {"loop-1": [1.0, 3.0]},
    ),
    (
        "of a closure that is evaluated several times the first loss counts",
        """
def closure():
    optimizer.zero_grad()
    loss = net.loss(values.pop())
    loss.backward()
    return loss
class Twice(torch.optim.SGD):
    def step(self, closure):
        closure()
        super(Twice, self).step()
        return super(Twice, self).step(closure)
optimizer, values = Twice(net.parameters()), [1.0, 2.0, 3.0, 4.0]
optimizer.step(closure)
optimizer.step(closure)
""",
        {"loop-1": [4.0, 2.0]},
    ),
    (
        "what a closure adds to losses of before belongs to them",
        """
for step in range(2):
    optimizer.zero_grad()
    net.loss(step + 0.5).backward()
    optimizer.step(lambda: net.loss(0.25).backward())
for step in range(2):
    optimizer.step(lambda: net.loss(step + 4.0).backward())
""",
        {"loop-1": [0.75, 1.75, 4.0, 5.0]},
    ),
    (
        "a step that calls the one of the class behind its own is one",
        """
class Mine(torch.optim.SGD):
    def step(self):
        super(Mine, self).step()
optimizer = Mine(net.parameters())
for step in range(9):
    net.loss(step + 1.0).backward()
    optimizer.step()
    optimizer.zero_grad()
""",
        {"loop-1": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]},
    ),
    (
        "a scaled loss is told unscaled, and a step that the scaler leaves out is none",
        """
scaler = torch.amp.GradScaler()
for step in range(3):
    optimizer.zero_grad()
    scaler.scale(net.loss(step + 1.0)).backward()
    scaler.step(optimizer, finite=step != 1)
""",
        {"loop-1": [1.0, 3.0]},
    ),
    (
        "a loss whose step the scaler leaves out is none of the next step's, also where nothing is set to zero",
        """
scaler = torch.amp.GradScaler()
for step in range(3):
    scaler.scale(net.loss(step + 1.0)).backward()
    scaler.step(optimizer, finite=step != 1)
""",
        {"loop-1": [1.0, 3.0]},
    ),
    (
        "gradients that are there before a step are its own, whatever its closure sets to zero and evaluates anew",
        """
def closure():
    optimizer.zero_grad()
    net.loss(9.0).backward()
for step in range(2):
    optimizer.zero_grad()
    net.loss(step + 0.5).backward()
    optimizer.step(closure)
""",
        {"loop-1": [0.5, 1.5]},
    ),
    (
        "two optimizers are two loops, each with its own losses",
        """
critic = Net()
other = torch.optim.SGD(critic.parameters())
for step in range(2):
    other.zero_grad()
    critic.loss(step + 0.5).backward()
    critic.loss(step + 0.25).backward()
    other.step()
    optimizer.zero_grad()
    torch.Tensor(step + 8.0, list(critic.parameters()) + list(net.parameters())).backward()
    optimizer.step()
""",
        {"loop-1": [0.75, 2.75], "loop-2": [8.0, 9.0]},
    ),
    (
        "two optimizers that take a step with one loss both have it, and both losses before both steps their own",
        """
critic = Net()
other = torch.optim.SGD(critic.parameters())
torch.Tensor(5.0, list(critic.parameters()) + list(net.parameters())).backward()
optimizer.step(), other.step()
optimizer.zero_grad(), other.zero_grad()
net.loss(1.0).backward(), critic.loss(2.0).backward()
optimizer.step(), other.step()
""",
        {"loop-1": [5.0, 1.0], "loop-2": [5.0, 2.0]},
    ),
    (
        "the losses of a GAN stay apart for as long as it trains, also where one of its parts trains more often",
        """
critic = Net()
other = torch.optim.SGD(critic.parameters())
for step in range(12):
    for turn in range(1 + step // 6):
        other.zero_grad()
        critic.loss(step + 0.5).backward()
        critic.loss(step + 0.25).backward()
        other.step()
    optimizer.zero_grad()
    torch.Tensor(step + 100.0, list(critic.parameters()) + list(net.parameters())).backward()
    optimizer.step()
""",
        {
            "loop-1": [2.0 * step + 0.75 for step in range(12) for _ in range(1 + step // 6)],
            "loop-2": [step + 100.0 for step in range(12)],
        },
    ),
    (
        "optimizers that train the same one after the other have each its own steps and no more",
        """
later = torch.optim.SGD(net.parameters())
for each in (optimizer, later):
    for step in range(4):
        each.zero_grad()
        net.loss(step + 1.0).backward()
        each.step()
""",
        {"loop-1": [1.0, 2.0, 3.0, 4.0], "loop-2": [1.0, 2.0, 3.0, 4.0]},
    ),
    (
        "a loss that gives gradients to what is not looked at first belongs to its optimizer",
        """
several = [torch.Parameter(float(number)) for number in range(4)]
optimizer = torch.optim.SGD(several)
for step in range(6):
    optimizer.zero_grad()
    torch.Tensor(step + 1.0, [several[1 + step % 2]]).backward()
    optimizer.step()
""",
        {"loop-1": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]},
    ),
    (
        "weights that are changed by hand are seen beside an optimizer that takes steps",
        """
mine, weight = Net(), torch.Parameter(3.0)
for step in range(8):
    optimizer.zero_grad()
    net.loss(step + 1.0).backward()
    optimizer.step()
    if step % 4 > 1:
        weight.grad = None
        torch.Tensor(step + 20.0, [weight]).backward()
        weight.set(float(step))
""",
        {"loop-1": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], "loop-2": [22.0, 23.0, 26.0, 27.0]},
    ),
    (
        "of an optimizer's own weights steps by hand are seen after two losses without a call of step",
        """
for step in range(8):
    optimizer.zero_grad()
    net.loss(step + 1.0).backward()
    optimizer.step() if step < 3 else net._parameters['weight'].set(float(step))
""",
        {"loop-1": [1.0, 2.0, 3.0, 6.0, 7.0, 8.0]},
    ),
    (
        "an optimizer takes over what was changed by hand",
        """
weight = torch.Parameter(3.0)
for step in range(8):
    if step == 5:
        optimizer = torch.optim.SGD([weight])
    weight.grad = None
    torch.Tensor(step + 1.0, [weight]).backward()
    optimizer.step() if step >= 5 else weight.set(float(step))
""",
        {"loop-1": [1.0, 2.0, 3.0, 4.0, 5.0], "loop-2": [6.0, 7.0, 8.0]},
    ),
    (
        "weights that change between two losses without a call of step have taken one",
        """
del optimizer
weight = net._parameters['weight']
for step in range(3):
    net.loss(step + 1.0).backward()
    weight.grad = None
    weight.set(step)
torch.Tensor(3.0, [torch.Parameter(1.0)]).backward()
""",
        {"loop-1": [1.0, 2.0, 3.0]},
    ),
    (
        "without a change of weights there is no training",
        """
del optimizer
for step in range(3):
    net.loss(1.0).backward()
    net._parameters['weight'].grad = None
""",
        {},
    ),
]


@OLDEST_AND_NEWEST
def test_a_step_has_the_loss_whose_gradients_it_takes(python: Path, tmp_path: Path) -> None:
    for name, script, expected in LOSSES:
        told = trained(python, tmp_path, TORCH_MODEL + "optimizer = torch.optim.SGD(net.parameters())\n" + script)
        assert losses(told) == expected, name


@OLDEST_AND_NEWEST
def test_what_trains_is_read_before_it_is_gone_and_its_model_is_known_by_its_parameters(
    python: Path, tmp_path: Path
) -> None:
    script = """
def train(value):
    model = torch.nn.Module()
    model._modules['inner'] = Net(value)
    optimizer = torch.optim.SGD([parameter for parameter in model.parameters()])
    for step in range(2):
        net.loss(1.0)
        model._modules['inner'].loss(2.0).backward()
        optimizer.step()
train(3.0), train(3.0), train(4.0)
"""
    told = trained(python, tmp_path, TORCH_MODEL + script)
    begins, ends = told.of("phase"), told.of("phase-end")
    assert [(one["name"], one["model"], one["model_number"]) for one in begins] == [
        ("loop-1", "Net", 1),
        ("loop-2", "Net", 2),
        ("loop-3", "Net", 3),
    ]
    seen = [(one["initial_weights"], end["final_weights"]) for one, end in zip(begins, ends, strict=True)]
    assert seen[0] == seen[1] != seen[2]
    assert None not in seen[0]
    assert len({one["architecture"] for one in begins}) == 1


@OLDEST_AND_NEWEST
def test_an_iteration_that_goes_on_elsewhere_is_gone_through_again_as_epochs(python: Path, tmp_path: Path) -> None:
    script = """
import itertools
optimizer = torch.optim.SGD(net.parameters())
for number, batch in zip(range(7), itertools.cycle(torch.utils.data.DataLoader([1.0, 2.0, 3.0]))):
    optimizer.zero_grad()
    net.loss(batch).backward()
    optimizer.step()
"""
    told = trained(python, tmp_path, TORCH_MODEL + script)
    assert [epoch["logs"]["loss"] for epoch in told.of("epoch")] == [2.0, 2.0, 1.0]


@OLDEST_AND_NEWEST
@pytest.mark.parametrize("workers_stay", [False, True])
def test_an_epoch_has_all_steps_of_its_iteration_also_of_a_step_that_is_inherited(
    workers_stay: bool, python: Path, tmp_path: Path
) -> None:
    script = f"""
class Mine(torch.optim.SGD):  # as AdamW has the step of Adam
    pass
optimizer, loader = Mine(net.parameters()), torch.utils.data.DataLoader([2.0, 4.0, 6.0, 8.0], {workers_stay})
for epoch in range(3):
    for batch in loader:
        optimizer.zero_grad()
        net.loss(batch).backward()
        optimizer.step()
    for batch in torch.utils.data.DataLoader([1.0]):
        net.loss(batch)
"""
    told = trained(python, tmp_path, TORCH_MODEL + script)
    assert [epoch["logs"]["loss"] for epoch in told.of("epoch")] == [5.0, 5.0, 5.0]


@OLDEST_AND_NEWEST
def test_an_error_of_a_step_or_of_a_gradient_belongs_to_the_loop(python: Path, tmp_path: Path) -> None:
    begin = f"""{TORCH_MODEL}
critic = Net()
optimizer, other = torch.optim.SGD(net.parameters()), torch.optim.SGD(critic.parameters())
net.loss(1.0).backward()
optimizer.step()
"""
    for line in ("torch.Tensor(1.0).backward()", "optimizer.step(lambda: 1 / 0)"):
        end = raised_later(line, meanwhile="critic.loss(1.0).backward()\nother.step()")
        told = run(python, tmp_path, begin + end)
        assert told.of("probe-error") == []
        error = told.only("exception")
        assert (error["stage"], error["phase"], error["source"]) == ("training", "loop-1", line)
        assert [phase["name"] for phase in told.of("phase")] == ["loop-1", "loop-2"]
