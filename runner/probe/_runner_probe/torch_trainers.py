"""Trainers of PyTorch's users: Lightning's, whose epochs are told with all that it logs, and that of `transformers`.

A trainer's run is told as a `fit`: what the optimizers do in it are its steps. Nothing is added that a script could see
among a trainer's callbacks.
"""

import weakref
from functools import partial

from . import phases, torch_models
from .step_loop import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .step_loop import StepLoop
    from .torch_losses import Trained
    from .torch_training import TorchTraining
    from .trainings import Trainings

NO_METRICS = ("epoch", "step", "total_flos", "num_input_tokens_seen")
TIMES = ("_runtime", "_per_second", "_time")


class TrainerFit:
    """One call of a trainer that trains: its loop begins with the first step."""

    def __init__(self, trainings: "Trainings", training: "TorchTraining", model: "Any", planned: "Any" = None) -> None:
        self._loops, self._training = trainings.loops, training
        self._model = model
        self._planned = planned if isinstance(planned, int) and planned > 0 else None
        name, self._number = trainings.next_fit()
        self._told: dict[str, Any] = {}
        self._entry: Any = None
        self.loop: Any = None
        self.has_epochs = planned is not None
        """True where the trainer tells by itself when a number of steps is over, and no data loader does."""
        trainings.where.move("training", name)

    def loop_of(self, trained: "Trained") -> "StepLoop":
        """The loop of whatever takes a step in this call."""
        if self.loop is None:
            model, optimizer = self._model(), trained.optimizer()
            variables = list(model.parameters())
            architecture = torch_models.architecture(model, variables)
            self.loop = self._loops.begin(
                self,
                variables,
                self._training.read,
                kind="fit",
                rate=None if optimizer is None else partial(torch_models.rate_of, weakref.ref(optimizer)),
                subject=Subject(model, architecture, None, self._number, self._planned, is_held=False),
            )
            self._training.tell_configs(self.loop.name, model, optimizer, trained.kind)
        return self.loop  # type: ignore[no-any-return]

    def end_epoch(self, metrics: "Any") -> None:
        """An epoch is over; `metrics` are all that were ever logged, those that this epoch did not log too."""
        if self.loop is not None:
            self._training.tell_waiting()
            new = {name: value for name, value in metrics.items() if value is not self._told.get(name)}
            self._told = dict(metrics)
            self._loops.end_epoch(self.loop, numbers(new))

    def log(self, step: int, logs: "Any") -> None:
        """Something was logged after a number of steps; what is logged after as many belongs to it."""
        if self.loop is None:
            return
        self.has_epochs = self.has_epochs or "loss" in logs
        if self._entry is None or self._entry[0] != step:
            self.tell_entry()
            self._training.tell_waiting()
            self._entry = step, self.loop.take_epoch(), {}
        self._entry[2].update(numbers(logs))

    def tell_entry(self) -> None:
        """Tell what was logged last."""
        entry, self._entry = self._entry, None
        if entry is None:
            return
        _, taken, logs = entry
        loss = taken.means().get("loss", 0.0)
        if loss - loss != 0:  # it leaves such losses out of the one that it logs (`logging_nan_inf_filter`)
            logs.pop("loss", None)
        self._loops.end_epoch(self.loop, logs, taken)


class TorchTrainers:
    """The trainers of the process."""

    def __init__(self, trainings: "Trainings", training: "TorchTraining") -> None:
        self._trainings, self._training = trainings, training
        self._around = training.around

    def watch_lightning(self, module: "Any") -> None:
        """Lightning's module of its trainer."""
        self._around(module.Trainer, "fit", self._enter_fit, self._leave_fit, "lightning_module", "max_epochs")
        for name in ("validate", "test"):
            self._around(module.Trainer, name, self._enter_evaluate, self._leave_evaluate, "lightning_module")

    def watch_lightning_epochs(self, module: "Any") -> None:
        """Lightning's module of the loop over epochs."""
        for name in ("FitLoop", "_FitLoop"):
            if name in vars(module):
                self._around(getattr(module, name), "on_advance_end", self._enter_epoch_end, self._leave_epoch_end)

    def watch_transformers(self, module: "Any") -> None:
        """The module of the trainer of `transformers`."""
        self._around(module.Trainer, "train", self._enter_fit, self._leave_fit, "model", "")
        for name in ("evaluate", "predict"):
            self._around(module.Trainer, name, self._enter_evaluate, self._leave_evaluate, "model")

    def watch_transformers_logs(self, module: "Any") -> None:
        """The module of what that trainer tells its callbacks."""
        self._around(module.CallbackHandler, "on_log", self._enter_log, self._leave_log)

    def _enter_fit(self, args: "Any", kwargs: "Any", model: str, planned: str) -> "Any":
        if self._training.fit is not None or self._trainings.inside:
            return None
        epochs = getattr(args[0], planned, None) if planned else None
        fit = TrainerFit(self._trainings, self._training, partial(getattr, args[0], model), epochs)
        self._training.enter_fit(fit)
        return fit

    def _leave_fit(self, fit: "TrainerFit", result: "Any", error: "Any") -> None:
        self._training.enter_fit(None)
        if error is not None:
            self._trainings.where.blame(error)
        fit.tell_entry()
        if fit.loop is not None:
            self._trainings.loops.end(fit.loop, failed=error is not None)
        if error is None:
            self._trainings.where.move("after-training")

    def _enter_epoch_end(self, args: "Any", kwargs: "Any") -> "Any":
        return None if self._training.fit is None else (self._training.fit, args[0].trainer)

    def _leave_epoch_end(self, token: "Any", result: "Any", error: "Any") -> None:
        fit, trainer = token
        if error is None:
            fit.end_epoch(trainer.callback_metrics)

    def _enter_log(self, args: "Any", kwargs: "Any") -> "Any":
        if self._training.fit is None:
            return None
        state = args[2] if len(args) > 2 else kwargs["state"]
        logs = args[4] if len(args) > 4 else kwargs["logs"]
        return self._training.fit, state.global_step, dict(logs)

    def _leave_log(self, token: "Any", result: "Any", error: "Any") -> None:
        fit, step, logs = token
        fit.log(step, logs)

    def _enter_evaluate(self, args: "Any", kwargs: "Any", model: str) -> "Any":
        if self._training.fit is not None or self._trainings.inside:
            return None  # the validation of a fit
        self._trainings.results.begin("evaluate")
        return args[0], model

    def _leave_evaluate(self, token: "Any", result: "Any", error: "Any") -> None:
        trainer, model = token
        found = getattr(result, "metrics", result)  # of `predict`
        several = found if isinstance(found, list) else [found]  # Lightning: of each data loader
        logs: dict[str, float] = {}
        for one in several:
            logs.update(numbers(one or {}))
        self._trainings.results.end("evaluate", getattr(trainer, model, None), logs, error)


def numbers(logs: "Any") -> "dict[str, float]":
    """The metrics among what a trainer logs."""
    return phases.numbers({name: logs[name] for name in logs if name not in NO_METRICS and not name.endswith(TIMES)})
