"""What the probe tells of trainings by PyTorch's trainers, and of its seed, with fakes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from probe_world import OLDEST_AND_NEWEST, TORCH_MODEL, run, trained

if TYPE_CHECKING:
    from pathlib import Path


@OLDEST_AND_NEWEST
def test_lightning_s_epochs_have_what_it_logged_in_them_and_its_sanity_check_is_none(
    python: Path, tmp_path: Path
) -> None:
    script = """
import pytorch_lightning
class Mine(Net, pytorch_lightning.LightningModule):
    def training_step(self, batch):
        return self.loss(batch)
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters())
model = Mine()
trainer = pytorch_lightning.Trainer(max_epochs=3)
trainer.fit(model, torch.utils.data.DataLoader([4.0, 2.0]))
trainer.validate(model, 0.5)
"""
    told = trained(python, tmp_path, TORCH_MODEL + script)
    begin = told.only("phase")
    assert (begin["name"], begin["model"], begin["planned_epochs"]) == ("fit-1", "Mine", 3)
    assert [(epoch["epoch"], epoch["logs"]) for epoch in told.of("epoch")] == [
        (1, {"loss": 3.0, "train_loss": 1.0}),
        (2, {"loss": 3.0, "train_loss": 0.5, "val_loss": 1.0}),
        (3, {"loss": 3.0, "train_loss": pytest.approx(1 / 3)}),
    ]
    asked = told.only("evaluation")
    assert (asked["kind"], asked["model"], asked["phase"], asked["logs"]) == (
        "evaluate",
        "Mine",
        "fit-1",
        {"val_loss": 0.5},
    )
    assert told.of("stage")[-1] == {"stage": "after-training", "phase": ""}


@OLDEST_AND_NEWEST
def test_the_log_of_transformers_trainer_is_told_entry_by_entry(python: Path, tmp_path: Path) -> None:
    script = """
import transformers
trainer = transformers.Trainer(net, [4.0, 3.0, 2.0, 1.0], logging_steps={steps})
trainer.train()
trainer.evaluate(0.5)
"""
    told = trained(python, tmp_path, TORCH_MODEL + script.format(steps=2))
    assert [epoch["logs"] for epoch in told.of("epoch")] == [
        {"loss": 3.0},
        {"loss": 1.0, "eval_loss": 0.125, "train_loss": 8.0},
    ]
    assert told.only("evaluation")["logs"] == {"eval_loss": 0.5}
    hidden = "import math\ntrainer = transformers.Trainer(net, [math.nan, 1.0], logging_steps=1)\ntrainer.train()\n"
    entries = trained(python, tmp_path, TORCH_MODEL + script.format(steps=1).partition("trainer")[0] + hidden).of(
        "epoch"
    )
    assert [entry["logs"]["loss"] for entry in entries] == ["nan", 1.0]
    rarely = trained(python, tmp_path, TORCH_MODEL + script.format(steps=500))
    logs: list[dict[str, Any]] = [epoch["logs"] for epoch in rarely.of("epoch")]
    assert logs == [{"loss": 2.5}, {"eval_loss": 0.125, "train_loss": 8.0}]


@OLDEST_AND_NEWEST
def test_the_seed_is_set_when_it_is_imported(python: Path, tmp_path: Path) -> None:
    told = run(python, tmp_path, "import torch\nprint(torch.default_seed)", env={"RUNNER_SEED": "7"})
    assert told.out == "7\n"
