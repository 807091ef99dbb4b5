"""Real trainings labelled after E epochs and followed to 4 E: how often did the label hold?

64 short trainings in a real TensorFlow (`benchmarks/training/`): models, scikit-learn's data sets, optimizers and
learning rates drawn with a fixed seed; a training of 4 E epochs is one of E epochs that went on. With `--again` the
stored losses are judged by the rules as they are now, and nothing is trained.
"""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
import time
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from measured import REPORTS, provenance, table, write, write_csv

from runner import Matrix, Options
from runner.outcomes.judge import judge
from runner.outcomes.rules import MATERIAL, TREND
from runner.outcomes.verdict import Label
from runner.session.session import open_session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runner.outcomes.verdict import Verdict


FOLDER = Path(__file__).parent / "training"
TRAININGS = 64
BUDGETS = (8, 16, 32)
"""E, the epochs after which a training is labelled; it goes on to four times as many."""
DATA = ("iris", "wine", "breast_cancer", "digits", "diabetes")
MODELS = (
    *("linear", "mlp", "mlp-dropout", "deep-tanh"),
    *("deep-sigmoid", "deep-relu-narrow", "batch-norm", "convolution"),
)
OPTIMIZERS = {"sgd": (-4, 1), "momentum": (-4.5, 0.5), "adam": (-5, 0), "rmsprop": (-5, 0)}
"""The range of the learning rate's decimal logarithm."""
FELL = MATERIAL
"""A loss that fell by more than this share of S has moved."""
STANDS_STILL = (Label.SETTLED, Label.PLATEAUED)
HEAD = (
    *("number", "data", "scaled", "model", "optimizer", "learning_rate", "epochs_e"),
    *("label_at_e", "label_at_4e", "held", "fell_further", "final_at_e", "final_at_4e", "scale_at_e", "losses"),
)


@dataclass(frozen=True, kw_only=True)
class Training:
    """What is trained; `epochs` is 4 E."""

    number: int
    data: str
    scaled: bool
    model: str
    optimizer: str
    learning_rate: float
    epochs: int


@dataclass(frozen=True, kw_only=True)
class Followed:
    """A training with its verdicts after E and after 4 E epochs."""

    training: Training
    losses: tuple[str, ...]
    early: Verdict
    late: Verdict

    @property
    def fell_further(self) -> float:
        """How far the loss fell after E, as a share of the starting loss S at E; NaN where it did not stay finite."""
        early, late, scale = self.early.final, self.late.final, self.early.scale
        if early is None or late is None or not scale or Label.NAN in {self.early.label, self.late.label}:
            return math.nan
        return (early - late) / scale

    @property
    def held(self) -> bool:
        """Whether what the label says of the training was still so at 4 E.

        One that stood still (settled, plateaued) has not fallen by more than m, and has not broken. One that was
        improving did fall further, by more than the trend that it was called so for. The others have the same label.
        """
        match self.early.label:
            case label if label in STANDS_STILL:
                return self.late.label not in {Label.NAN, Label.DIVERGED} and self.fell_further <= FELL
            case Label.IMPROVING:
                return self.fell_further > TREND
            case label:
                return self.late.label is label


def main() -> None:
    if "--again" in sys.argv[1:]:
        origin = (REPORTS / "training.md").read_text().split("\n\n")[1]
        found = [followed(training, losses) for training, losses in zip(drawn(), stored(), strict=True)]
    else:
        began = time.monotonic()
        found = [followed(training, losses) for training, losses in trained(list(drawn()))]
        origin = measured_in(time.monotonic() - began)
        write_csv("training.csv", HEAD, [row(one) for one in found])
    write("training.md", page(found, origin))


def measured_in(seconds: float) -> str:
    return f"""{provenance()} TensorFlow 2.21.0, Keras 3.13.2
([lock](../../benchmarks/training/locks)). Made by `python benchmarks/training.py` in {seconds / 60:.0f} minutes; every
training with its losses is in [training.csv](training.csv)."""


def stored() -> Iterator[tuple[str, ...]]:
    """The losses of every training, as they were stored."""
    with (REPORTS / "training.csv").open() as stream:
        for line in csv.DictReader(stream):
            yield tuple(line["losses"].split())


def drawn() -> Iterator[Training]:
    """The trainings; each depends on its number alone."""
    for number in range(TRAININGS):
        random = Random(number)
        optimizer = random.choice(sorted(OPTIMIZERS))
        yield Training(
            number=number,
            data=DATA[number % len(DATA)],
            scaled=random.random() < 0.75,
            model=random.choice(MODELS),
            optimizer=optimizer,
            learning_rate=float(f"{10 ** random.uniform(*OPTIMIZERS[optimizer]):.3g}"),
            epochs=4 * BUDGETS[number % len(BUDGETS)],
        )


def trained(trainings: Sequence[Training]) -> Iterator[tuple[Training, tuple[str, ...]]]:
    """Each training with its losses, from one process in an environment that is made from the committed lock."""
    with open_session(Matrix.load(FOLDER / "matrix.yaml"), Options(engine="venv")) as session:
        python = Path(session.laboratory.image_of(session.setup, session.cells[0]).reference, "bin", "python")
    lines = "".join(json.dumps(asdict(training)) + "\n" for training in trainings)
    environment = {"PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [python, FOLDER / "trainings.py"], input=lines, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for training, answer in zip(trainings, answers, strict=True):
        assert answer["number"] == training.number
        yield training, tuple(answer["losses"])


def followed(training: Training, losses: tuple[str, ...]) -> Followed:
    values = [float(loss) for loss in losses]
    early = judge(values[: training.epochs // 4])
    return Followed(training=training, losses=losses, early=early, late=judge(values))


def row(one: Followed) -> list[Any]:
    training = one.training
    numbers = (one.fell_further, one.early.final, one.late.final, one.early.scale)
    return [
        *(training.number, training.data, training.scaled, training.model, training.optimizer, training.learning_rate),
        *(training.epochs // 4, one.early.label, one.late.label, one.held),
        *("" if number is None else f"{number:.5g}" for number in numbers),
        " ".join(one.losses),
    ]


def page(found: Sequence[Followed], origin: str) -> str:
    held = sum(one.held for one in found)
    return f"""# Real trainings: does the label hold?

{origin}

{len(found)} trainings: {len(MODELS)} models, scikit-learn's {", ".join(DATA)} (some not scaled),
{", ".join(OPTIMIZERS)}, learning rates over five decades, all drawn with a fixed seed. Each is labelled without a
target after E = {", ".join(map(str, BUDGETS))} epochs and followed to 4 E. *Held* means: what was settled or plateaued
has not fallen by more than {FELL:.0%} of the starting loss S and has not broken; what was improving fell further by
more than {TREND:.1%} of S; anything else has the same label.

Held: **{held} of {len(found)}** ({held / len(found):.0%}).

{by_label(found)}
## By budget

{by_budget(found)}
## The label at E (rows) and at 4 E (columns)

{confusion(found)}
## Those that did not hold

{broken(found)}"""


def by_label(found: Sequence[Followed]) -> str:
    rows = []
    for label, ones in grouped((one.early.label, one) for one in found):
        fell = [one.fell_further > FELL for one in ones if math.isfinite(one.fell_further)]
        same = sum(one.late.label is one.early.label for one in ones)
        further = f"{sum(fell)} of {len(fell)}" if fell else ""
        rows.append((label, len(ones), f"{sum(one.held for one in ones)} of {len(ones)}", further, same))
    return table(["label at E", "trainings", "held", f"fell further by > {FELL:.0%} of S", "same label at 4 E"], rows)


def by_budget(found: Sequence[Followed]) -> str:
    rows = []
    for epochs, ones in grouped((one.training.epochs // 4, one) for one in found):
        shares = [
            f"{sum(one.held for one in ones if one.early.label is label)} of"
            f" {sum(one.early.label is label for one in ones)}"
            for label in (*STANDS_STILL, Label.IMPROVING)
        ]
        rows.append((f"E = {epochs}", f"{sum(one.held for one in ones)} of {len(ones)}", *shares))
    return table(["budget", "held", *(f"{label} held" for label in (*STANDS_STILL, Label.IMPROVING))], rows)


def confusion(found: Sequence[Followed]) -> str:
    counts = Counter((one.early.label.value, one.late.label.value) for one in found)
    rows, columns = sorted({early for early, _ in counts}), sorted({late for _, late in counts})
    return table(["", *columns], [(early, *(counts[early, late] or "" for late in columns)) for early in rows])


def broken(found: Sequence[Followed]) -> str:
    return table(
        ["training", "E", "at E", "at 4 E", "fell further, share of S"],
        [
            (
                described(t),
                t.epochs // 4,
                one.early.label,
                one.late.label,
                f"{one.fell_further:.1%}",
            )
            for one, t in ((one, one.training) for one in found if not one.held)
        ],
    )


def described(training: Training) -> str:
    data = f"{training.data}{'' if training.scaled else ' (not scaled)'}"
    return f"{training.number}: {training.model} on {data}, {training.optimizer} {training.learning_rate:g}"


def grouped(pairs: Iterable[tuple[Any, Followed]]) -> list[tuple[Any, list[Followed]]]:
    found: defaultdict[Any, list[Followed]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return sorted(found.items(), key=lambda item: str(item[0]).zfill(20))


if __name__ == "__main__":
    main()
