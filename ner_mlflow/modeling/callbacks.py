"""Report the progress of a training, and act on its steps and epochs."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..plotting import explain, key_line, new_plot, say, series
from .averaging import WeightAverage

log = logging.getLogger(__name__)

PROGRESS_INTERVAL_S = 20
"""Seconds between two lines of progress within an epoch."""

OnLog = Callable[[Mapping[str, float], int], None]
"""A function of metrics and the step, called several times an epoch."""
OnEpoch = Callable[[int, float], None]
"""A function of the epoch, from 1, and its validation F1, called after each epoch."""
OnStep = Callable[[], None]
"""A function that is called after each step."""


def _ignore_log(metrics: Mapping[str, float], step: int) -> None:
    """Do nothing."""


def _ignore_epoch(epoch: int, f1: float) -> None:
    """Do nothing."""


def _ignore_step() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class TrainingHooks:
    """Functions that are called during a training; by default they do nothing.

    Attributes:
        on_log: receives ``train/loss``, ``train/learning_rate``, ``train/grad_norm`` and
            ``validation/*`` with the step.
        on_epoch: receives each epoch and its validation F1; an exception ends the training.
        on_step: is called after each step; an exception ends the training.
    """

    on_log: OnLog = _ignore_log
    on_epoch: OnEpoch = _ignore_epoch
    on_step: OnStep = _ignore_step

    @property
    def can_end_training(self) -> bool:
        """Return whether ``on_epoch`` or ``on_step`` was given."""
        return self.on_epoch is not _ignore_epoch or self.on_step is not _ignore_step


NO_HOOKS = TrainingHooks()


class HooksCallback(TrainerCallback):
    """A callback that calls the hooks, and logs a line after each epoch."""

    NAMES: ClassVar[dict[str, str]] = {
        "loss": "train/loss",
        "learning_rate": "train/learning_rate",
        "grad_norm": "train/grad_norm",
    }
    """Name in the Trainer's logs -> name of our metric."""

    def __init__(self, hooks: TrainingHooks, epochs: int) -> None:
        self._hooks = hooks
        self._epochs = epochs
        self._loss = float("nan")
        self._started = self._shown = time.perf_counter()
        self._first_step = self._first_epoch = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock."""
        self._started = self._shown = time.perf_counter()
        self._first_step, self._first_epoch = state.global_step, math.floor(state.epoch or 0)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Call ``on_step``, and log the progress now and then."""
        self._hooks.on_step()
        now = time.perf_counter()
        if now - self._shown >= PROGRESS_INTERVAL_S and state.max_steps:
            self._shown = now
            done = max(state.global_step - self._first_step, 1)
            log.info(
                "epoch %d of %d: step %d of %d, about %.0f s left",
                math.floor(state.epoch or 0) + 1,
                self._epochs,
                state.global_step,
                state.max_steps,
                (now - self._started) / done * (state.max_steps - state.global_step),
            )

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Call ``on_log`` with the Trainer's logs under our names."""
        logs = logs or {}
        metrics = {
            ours: float(logs[theirs]) for theirs, ours in self.NAMES.items() if theirs in logs
        }
        metrics |= {
            f"validation/{name.removeprefix('eval_')}": value
            for name, value in logs.items()
            if name.startswith("eval_")
        }
        self._loss = metrics.get("train/loss", self._loss)
        if metrics:
            epoch = float(state.epoch or 0)
            self._hooks.on_log({**metrics, "train/epoch": epoch}, state.global_step)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **_: Any,
    ) -> None:
        """Log the epoch's result, and call ``on_epoch``."""
        epoch, seconds = round(state.epoch or 0), time.perf_counter() - self._started
        log.info(
            "epoch %d of %d: loss %.3f, validation F1 %.3f, %.0f s elapsed, about %.0f s left",
            epoch,
            self._epochs,
            self._loss,
            metrics["eval_f1"],
            seconds,
            seconds / max(epoch - self._first_epoch, 1) * (self._epochs - epoch),
        )
        self._shown = time.perf_counter()
        self._hooks.on_epoch(epoch, float(metrics["eval_f1"]))


class AverageCallback(TrainerCallback):
    """A callback that updates a weight average after each step of the optimiser."""

    def __init__(self, average: WeightAverage) -> None:
        self._average = average

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Update the average."""
        self._average.update()


class CheckpointCallback(TrainerCallback):
    """A callback that requests a checkpoint after each epoch, and every ``steps`` steps.

    With ``steps`` 0 it requests none within an epoch.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Request a checkpoint within an epoch."""
        # The checkpoint at the end of an epoch is written after validation.
        ends_epoch = (state.epoch or 0.0).is_integer()
        if self._steps and state.global_step % self._steps == 0 and not ends_epoch:
            control.should_save = True

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Request a checkpoint."""
        control.should_save = True


CURVES = {
    "loss": ("Training loss", "loss"),
    "eval_f1": ("Validation F1", "F1, 0 to 1"),
    "learning_rate": ("Learning rate", "learning rate"),
}
"""Name in the Trainer's log -> title of the panel, and label of its axis."""


def plot_curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """Return a figure of training loss, validation F1 and learning rate over epochs.

    Args:
        history: the Trainer's log history.
    """
    epochs = sum("eval_f1" in row for row in history)
    best = max((row["eval_f1"] for row in history if "eval_f1" in row), default=None)
    note = explain(
        f"n = {epochs} validated epoch{'s' * (epochs != 1)}",
        "" if best is None else f"best F1 {best:.3f}",
    )
    with new_plot("Training over epochs", note, 2.7) as figure:
        for axes, (name, (title, label)) in zip(
            figure.subplots(1, len(CURVES)), CURVES.items(), strict=True
        ):
            axes.set_title(title)
            points = [(row["epoch"], row[name]) for row in history if name in row]
            if not points:
                say(axes, "not logged")
                continue
            style: dict[str, Any] = {"marker": "o", "markersize": 4} if len(points) < 30 else {}
            axes.plot(*zip(*points, strict=True), color=series(0).colour, **style)
            if name == "eval_f1":
                top = next(point for point in points if point[1] == best)
                axes.plot(*top, **{**series(2).points, "markersize": 8})
                figure.add_key(key_line(series(2)), "epoch that is kept")
            axes.set_xlabel("epoch")
            axes.set_ylabel(label)
            axes.margins(x=0.06)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=points[-1][0] >= 2))
            if len(points) == 1:
                axes.set_xticks([points[0][0]])
            axes.grid()
    return figure
