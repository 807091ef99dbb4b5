"""Names of metrics: which of them are the same, and which way is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.matrix.model import Mode

_ALIASES = {
    "acc": "accuracy",
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
}
_MAXIMISED = (
    *("acc", "auc", "precision", "recall", "f1", "iou", "io_u", "dice_coef", "r2"),
    *("psnr", "ssim", "bleu", "top_k", "reward"),
)
NOT_METRICS = frozenset({"lr", "learning_rate"})
"""What Keras writes into its logs beside the metrics."""


def canonical(name: str) -> str:
    """One name for the names that versions of Keras give the same metric: `val_acc` is `val_accuracy`."""
    prefix, plain = ("val_", name[4:]) if name.startswith("val_") else ("", name)
    return prefix + _ALIASES.get(plain, plain)


def direction(name: str) -> Mode:
    """Which way is better, by the metric's name (VERDICTS.md, "Judged metric")."""
    lower = name.lower()
    return "max" if "loss" not in lower and any(part in lower for part in _MAXIMISED) else "min"
