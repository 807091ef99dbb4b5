"""The probe is neutral to PyTorch, its compiler and the trainers of its users, and its seed holds in what they draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from probe_stacks import TRAINERS, alike, execute, stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.torch]

__all__ = ["stack"]

BEGIN = """
import hashlib, json, random, sys
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
F = nn.functional
seed = int(sys.argv[1])
if seed:
    random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
x = torch.rand(64, 4)
y = x.sum(dim=1, keepdim=True)
def network():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
found = {"before": ["torch._dynamo" in sys.modules, torch.cuda.is_initialized()], "weights": [], "losses": []}
def end(model):
    bits = b"".join(parameter.detach().float().numpy().tobytes() for parameter in model.parameters())
    found["weights"].append(hashlib.sha256(bits).hexdigest())
def finish():
    found["random"] = [random.random(), np.random.rand(), torch.rand(1).item()]
    print(json.dumps(found))
"""
LOOPS = """
def loader(workers, persistent):
    model, data = network(), TensorDataset(x, y)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    batches = DataLoader(data, batch_size=16, shuffle=True, num_workers=workers, persistent_workers=persistent)
    for epoch in range(3):
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = F.mse_loss(model(inputs), targets)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            found["losses"].append(loss.item())
        schedule.step()
        for inputs, targets in DataLoader(data, batch_size=32):
            F.mse_loss(model(inputs), targets)
    end(model)
loader(0, False), loader(1, True)
def closure():
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), y)
    loss.backward()
    return loss
model = network()
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
for step in range(4):
    optimizer.step(closure)
end(model)
class Mine(torch.optim.Adam):
    def step(self):
        return super().step()
model = network().bfloat16()
model[2].weight = nn.Parameter(model[2].weight.detach())
model.tied = model[2].weight
optimizer, scaler = Mine(model.parameters(), lr=0.01, fused=True), torch.amp.GradScaler("cpu", init_scale=2.0)
for step in range(20):
    optimizer.zero_grad()
    loss = F.mse_loss(model(x.bfloat16()), y.bfloat16()) * (float("inf") if step == 5 else 1)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
end(model)
model = network()
kept = torch.optim.SGD(network().parameters(), lr=0.1)
for step in range(5):
    F.mse_loss(model(x), y).backward()
    for parameter in model.parameters():
        parameter.data.sub_(0.1 * parameter.grad)
        parameter.grad = None
end(model)
del kept
generator, critic = network(), nn.Linear(1, 1)
ours, theirs = (torch.optim.Adam(one.parameters(), lr=0.01) for one in (generator, critic))
for step in range(8):
    theirs.zero_grad()
    critic(y).mean().neg().backward()
    critic(generator(x).detach()).mean().backward()
    theirs.step()
    ours.zero_grad()
    critic(generator(x)).mean().neg().backward()
    ours.step()
end(generator), end(critic)
del ours, theirs
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
seen = []
class Functions(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        seen.append(getattr(function, "__name__", str(function)))
        return function(*args, **(kwargs or {}))
class Operations(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        seen.append(str(function))
        return function(*args, **(kwargs or {}))
class Mine(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        seen.append(getattr(function, "__name__", str(function)))
        return super().__torch_function__(function, types, args, kwargs)
for mode, inputs in ((Functions(), x), (Operations(), x), (torch.device("cpu"), x.as_subclass(Mine))):
    with mode:
        model = network()
        optimizer = torch.optim.SGD(model.parameters(), lr=torch.tensor(0.1))
        for step in range(6):
            optimizer.zero_grad()
            loss = F.mse_loss(model(inputs), y)
            found["losses"].append(loss.item())
            loss.backward()
            optimizer.step()
        del optimizer
    end(model)
found["seen"] = seen
finish()
"""
COMPILED = """
import logging
logging.disable()
from torch._dynamo.utils import counters
import torch._dynamo
found["graphs"] = []
def told(model):
    end(model)
    found["graphs"].append([dict(counters["stats"]), sorted(counters["graph_break"].values())])
    counters.clear()
    torch._dynamo.reset()
model = network()
fast, optimizer = torch.compile(model, backend="aot_eager"), torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(4):
    optimizer.zero_grad()
    F.mse_loss(fast(x), y).backward()
    optimizer.step()
told(model)
for kind in (torch.optim.SGD, torch.optim.Adam):
    model = network()
    optimizer = kind(model.parameters(), lr=0.1)
    @torch.compile(backend="aot_eager")
    def step():
        optimizer.step()
    for number in range(4):
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        step()
    told(model)
model = network()
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
@torch.compile(backend="aot_eager")
def train():
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    return loss
for number in range(4):
    found["losses"].append(train().item())
told(model)
finish()
"""
TRAINED = """
import warnings
warnings.filterwarnings("ignore")
import lightning
class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.network = network()
    def training_step(self, batch, number):
        loss = F.mse_loss(self.network(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss
    def validation_step(self, batch, number):
        self.log("val_loss", F.mse_loss(self.network(batch[0]), batch[1]))
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
batches, model = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True), Model()
options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
trainer = lightning.Trainer(max_epochs=3, accelerator="cpu", accumulate_grad_batches=2, **options)
trainer.fit(model, batches, DataLoader(TensorDataset(x, y), batch_size=64))
found["callbacks"] = [type(one).__name__ for one in trainer.callbacks]
found["metrics"] = {name: value.item() for name, value in trainer.callback_metrics.items()}
end(model)
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
model = BertForSequenceClassification(BertConfig(vocab_size=20, max_position_embeddings=4, **size))
data = [{"input_ids": line, "labels": (line[0] > 10).long()} for line in torch.randint(2, 20, (64, 4))]
options = {"save_strategy": "no", "report_to": [], "use_cpu": True, "disable_tqdm": True, "seed": 7}
arguments = TrainingArguments("out", num_train_epochs=2, logging_steps=4, eval_strategy="epoch", **options)
trainer = Trainer(model, arguments, train_dataset=data, eval_dataset=data)
trainer.train()
found["callbacks"] += [type(one).__name__ for one in trainer.callback_handler.callbacks]
found["log"] = [{name: value for name, value in one.items() if "loss" in name} for one in trainer.state.log_history]
end(model)
finish()
"""


def test_loops_end_bit_for_bit_as_they_do_without_the_probe(stack: Callable[[str], Path], tmp_path: Path) -> None:
    run = alike(stack(TRAINERS), tmp_path, BEGIN + LOOPS, "3", RUNNER_SEED="99")
    told, result = run.channel, run.result
    assert result["before"] == [False, False]
    assert told.children == ()
    assert [phase.steps for phase in told.phases] == [12, 12, 4, 19, 5, 8, 8, 6, 6, 6]
    last = told.phases[-3:]  # the script's modes and class saw nothing of the probe, and it saw what they were in
    losses = [epoch.logs["loss"] for phase in last for epoch in told.epochs if epoch.phase == phase.name]
    assert losses == pytest.approx(result["losses"][-18:])
    assert len(result["seen"]) > 100
    assert None not in {weights for phase in last for weights in (phase.initial_weights, phase.final_weights)}


def test_what_is_compiled_has_the_same_graphs_and_its_steps_are_seen(
    stack: Callable[[str], Path], tmp_path: Path
) -> None:
    run = alike(stack(TRAINERS), tmp_path, BEGIN + COMPILED, "3")
    told = run.channel
    assert [phase.steps for phase in told.phases] == [4, 4, 4, 4]
    losses = [epoch.logs["loss"] for epoch in told.epochs if epoch.phase == "loop-4"]
    assert losses == pytest.approx(run.result["losses"])


def test_trainers_end_bit_for_bit_as_they_do_without_the_probe_and_their_logs_are_told(
    stack: Callable[[str], Path], tmp_path: Path
) -> None:
    run = alike(stack(TRAINERS), tmp_path, BEGIN + TRAINED, "3", RUNNER_SEED="99")
    told, result = run.channel, run.result
    assert [(phase.name, phase.steps, phase.planned_epochs, phase.finished) for phase in told.phases] == [
        ("fit-1", 6, 3, True),
        ("fit-2", 16, None, True),
    ]
    last = [epoch for epoch in told.epochs if epoch.phase == "fit-1"][-1]
    assert {name: last.logs[name] for name in result["metrics"]} == pytest.approx(result["metrics"])
    logged = [one["loss"] for one in result["log"] if "loss" in one]
    assert [epoch.logs["loss"] for epoch in told.epochs if epoch.phase == "fit-2"] == pytest.approx(logged)


def test_the_trial_s_seed_fixes_what_the_script_leaves_open(stack: Callable[[str], Path], tmp_path: Path) -> None:
    script = BEGIN + LOOPS.partition("def closure")[0] + "finish()\n"
    runs = [execute(stack(TRAINERS), tmp_path, script, "0", RUNNER_SEED=seed) for seed in ("1", "1", "2")]
    first, again, other = (run.channel.phases for run in runs)
    weights = [[(phase.initial_weights, phase.final_weights) for phase in phases] for phases in (first, again, other)]
    assert weights[0] == weights[1]
    assert not set(weights[0]) & set(weights[2])
    assert runs[0].result["random"] == runs[1].result["random"]
