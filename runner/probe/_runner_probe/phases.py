"""A phase: one call of `fit`, from its entry to its end, and what is read of its model on the way."""

import hashlib
import json
import os
import time

from . import weights

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .emitter import Emitter

FIRST = 64
CONFIG_BYTES = 64 * 1024


def is_sampled(number: int) -> bool:
    """True where the n-th of something repeated is looked at closely: all up to 64, then 64 in every doubling.

    A script may call `fit`, or have an epoch, every millisecond; reading weights each time would slow it down.
    """
    return number <= FIRST or number % (1 << (number.bit_length() - FIRST.bit_length())) == 0


class FitPhase:
    """The state of one `fit`. What can't be read of its model is reported as the probe's failure, and is None."""

    def __init__(
        self, channel: "Emitter", name: str, number: int, model: "Any", model_number: "int | None", backend: str
    ) -> None:
        self._channel = channel
        self._model_number = model_number
        self._read = weights.reader(backend)
        self._sampled = is_sampled(number)
        self._before: Any = None
        self._variables: Any = None
        self._epochs = 0
        self._began: Any = None
        self._losses: list[Any] = []
        self._told_losses = 0
        self._batch: Any = None
        self._digest = channel.shielded(self._digest)
        self._architecture = channel.shielded(self._architecture)
        self._norms, self._final_norm = channel.shielded(self._norms), channel.shielded(self._final_norm)
        self._learning_rate = channel.shielded(self._learning_rate)
        self.name = name
        self.model = model
        self.begun = False
        self.depth = 0

    def begin(self, params: "dict[str, Any]") -> None:
        """Training is about to take its first step: the model is built and its weights are the initial ones."""
        self.begun = True
        self._variables = weights.variables_of(self.model) if self._sampled else None
        self._channel.emit(
            "phase",
            name=self.name,
            model=model_name(self.model),
            model_number=self._model_number,
            architecture=self._architecture() if self._sampled else None,
            planned_epochs=_whole(params.get("epochs"), less=params.get("initial_epoch")),
            steps=_steps(params),
            initial_weights=self._digest(),
            weight_norm=(self._norms() or (None, None))[0],
        )

    def end(self, failed: bool) -> None:
        """The fit returned, or an exception left it."""
        if not self.begun:
            self.begin({})
        self.flush_losses()
        if self._sampled:
            # A model that was built by its first batch has its weights only now.
            self._variables = weights.variables_of(self.model)
        norm, digest = self._final_norm(), self._digest()
        self._channel.emit("phase-end", name=self.name, final_weights=digest, weight_norm=norm, error=failed)

    def begin_epoch(self) -> None:
        """Start the clock of an epoch."""
        self._began = time.perf_counter()

    def end_steps(self) -> "tuple[float | None, float | None]":
        """An epoch's last step is done, its callbacks come next: (seconds since it began, learning rate).

        The rate is read before callbacks change it for the epoch that follows.
        """
        seconds = None if self._began is None else round(time.perf_counter() - self._began, 6)
        return seconds, self._learning_rate() if self._is_looked_at(self._epochs + 1) else None

    def end_epoch(self, logs: "dict[str, float]", seconds: "float | None", learning_rate: "float | None") -> None:
        """An epoch is over; `logs` are its numbers by name."""
        self._epochs += 1
        fields = {"learning_rate": learning_rate, "weight_norm": None, "update_norm": None, "rss_bytes": None}
        if self._is_looked_at(self._epochs):
            self._variables = self._variables or weights.variables_of(self.model)
            fields["weight_norm"], fields["update_norm"] = self._norms() or (None, None)
            fields["rss_bytes"] = resident_bytes()
        self.flush_losses()
        self._channel.emit("epoch", phase=self.name, epoch=self._epochs, logs=logs, time_s=seconds, **fields)

    def add_loss(self, batch: int, loss: float) -> None:
        """The loss of one batch, as the callbacks see it; told twice where one method calls the other."""
        if self._batch == (self._epochs, batch):
            return
        self._batch = (self._epochs, batch)
        self._losses.append(loss)
        if len(self._losses) >= 256:
            self.flush_losses()

    def flush_losses(self) -> None:
        """Write the losses of batches that are not written yet."""
        if self._losses:
            self._channel.emit("steps", phase=self.name, first=self._told_losses + 1, losses=self._losses)
            self._told_losses += len(self._losses)
            self._losses = []

    def is_sampled(self) -> bool:
        """True where the model's weights and configuration are looked at."""
        return self._sampled

    def _is_looked_at(self, epoch: int) -> bool:
        return self._sampled and is_sampled(epoch)

    def _digest(self) -> "Any":
        return weights.digest(self._variables, self._read) if self._variables else None

    def _architecture(self) -> str:
        return architecture(self.model, self._variables or ())

    def _learning_rate(self) -> "Any":
        return weights.learning_rate(getattr(self.model, "optimizer", None), self._read)

    def _final_norm(self) -> "Any":
        parameters = weights.count(self._variables or ())
        return weights.norm(self._read(self._variables)) if 0 < parameters <= weights.FINAL_PARAMETERS else None

    def _norms(self) -> "Any":
        """The norm of the weights and of their change since the last look; the second is None at the first look."""
        parameters = weights.count(self._variables or ())
        if not parameters or parameters > weights.NORM_PARAMETERS:
            return None, None
        arrays = self._read(self._variables)
        if parameters > weights.UPDATE_PARAMETERS:
            return weights.norm(arrays), None
        arrays, before = list(arrays), self._before
        self._before = arrays
        change = None if before is None else weights.norm(weights.difference(arrays, before))
        return weights.norm(arrays), change


def epoch_row(phase: str, epoch: int, logs: "dict[str, float]", seconds: float) -> "dict[str, Any]":
    """An epoch of which nothing is known but its numbers and how long it took."""
    return {
        "phase": phase,
        "epoch": epoch,
        "logs": logs,
        "time_s": round(seconds, 6),
        "learning_rate": None,
        "weight_norm": None,
        "update_norm": None,
        "rss_bytes": None,
    }


def model_name(model: "Any") -> str:
    """Class and name of a model, such as "Sequential sequential_1"."""
    return ("%s %s" % (type(model).__name__, getattr(model, "name", None) or "")).strip()[:200]


def architecture(model: "Any", variables: "Any") -> str:
    """SHA-256 (hex) over the classes of a model's layers, those of models inside of it too, and its weights' shapes."""
    classes: list[str] = []
    waiting = [model]
    while waiting and len(classes) < 10000:
        one = waiting.pop()
        classes.append(type(one).__name__)
        waiting += list(getattr(one, "layers", ()))
    shapes = [[int(getattr(length, "value", length) or 0) for length in tuple(one.shape)] for one in variables]
    return hashlib.sha256(json.dumps([classes, shapes]).encode("ascii")).hexdigest()


def numbers(logs: "Any") -> "dict[str, float]":
    """Those of the values that are numbers, at most 100."""
    found = {}
    for name, value in list(logs.items())[:100]:
        try:
            found[str(name)[:200]] = float(value)
        except (TypeError, ValueError):
            continue
    return found


def config_texts(model: "Any") -> "list[tuple[str, str]]":
    """(what, JSON text) of model, optimizer and loss, as they are configured at this moment."""
    found = []
    for what in ("model", "optimizer", "loss"):
        thing = model if what == "model" else getattr(model, what, None)
        try:
            config = _model_config(thing) if what == "model" else _config(thing)
            text = json.dumps(config, default=_as_text, sort_keys=True)
        except Exception:
            continue  # some things of the script's own can't be told
        found.append((what, text[:CONFIG_BYTES]))
    return found


def resident_bytes() -> "int | None":
    """The memory that the process occupies now."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _model_config(model: "Any") -> "Any":
    """A model's configuration with its layers, which a model written as a subclass does not tell by itself."""
    try:
        config = model.get_config()
    except Exception:
        config = {}
    if isinstance(config, dict) and "layers" not in config:
        config = dict(config, layers=[_config(layer) for layer in model.layers])
    return {"class_name": type(model).__name__, "config": config}


def _config(thing: "Any") -> "Any":
    if callable(getattr(thing, "get_config", None)):
        return {"class_name": type(thing).__name__, "config": thing.get_config()}
    if isinstance(thing, dict):
        return {str(key): _config(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_config(value) for value in thing]
    return getattr(thing, "__name__", thing)


def _as_text(value: "Any") -> "Any":
    if callable(getattr(value, "tolist", None)):
        return value.tolist()
    return getattr(value, "__name__", None) or str(value)


def _whole(value: "Any", less: "Any" = None) -> "int | None":
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value - less if isinstance(less, int) else value


def _steps(params: "dict[str, Any]") -> "int | None":
    """Batches in an epoch, from what the callbacks were told."""
    steps = _whole(params.get("steps"))
    samples, size = _whole(params.get("samples")), _whole(params.get("batch_size"))
    if steps is None and samples and size:
        steps = -(-samples // size)
    return steps
