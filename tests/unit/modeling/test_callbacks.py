"""Hooks, the requests for checkpoints, and the plot of the training curves."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from readable_plots import assert_readable
from transformers import TrainerControl, TrainerState, TrainingArguments

from ner_mlflow.modeling.callbacks import (
    NO_HOOKS,
    CheckpointCallback,
    HooksCallback,
    TrainingHooks,
    plot_curves,
)


@pytest.fixture
def arguments(tmp_path: Path) -> TrainingArguments:
    return TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[])


def test_by_default_hooks_do_nothing() -> None:
    NO_HOOKS.on_log({"train/loss": 1.0}, 3)
    NO_HOOKS.on_epoch(1, 0.5)
    NO_HOOKS.on_step()


@pytest.mark.parametrize(
    ("hooks", "can_end"),
    [
        (NO_HOOKS, False),
        (TrainingHooks(on_log=lambda *_: None), False),
        (TrainingHooks(on_epoch=lambda *_: None), True),
        (TrainingHooks(on_step=lambda: None), True),
    ],
    ids=["none", "on_log", "on_epoch", "on_step"],
)
def test_hooks_on_steps_and_epochs_can_end_a_training(hooks: TrainingHooks, can_end: bool) -> None:
    assert hooks.can_end_training is can_end


def test_hooks_receive_metrics_under_our_names(arguments: TrainingArguments) -> None:
    logged: list[tuple[dict[str, float], int]] = []
    epochs: list[tuple[int, float]] = []

    def on_log(metrics: Mapping[str, float], step: int) -> None:
        logged.append((dict(metrics), step))

    def on_epoch(epoch: int, f1: float) -> None:
        epochs.append((epoch, f1))

    callback = HooksCallback(TrainingHooks(on_log, on_epoch), epochs=4)
    state, control = TrainerState(global_step=40, epoch=2.0), TrainerControl()
    callback.on_log(arguments, state, control, {"loss": 0.5, "grad_norm": 2.0, "total_flos": 9.0})
    callback.on_log(arguments, state, control, {"eval_f1": 0.75, "eval_OS/f1": 0.5})
    callback.on_log(arguments, state, control, {"total_flos": 9.0})
    callback.on_evaluate(arguments, state, control, {"eval_f1": 0.75})
    assert logged == [
        ({"train/loss": 0.5, "train/grad_norm": 2.0, "train/epoch": 2.0}, 40),
        ({"validation/f1": 0.75, "validation/OS/f1": 0.5, "train/epoch": 2.0}, 40),
    ]
    assert epochs == [(2, 0.75)]


@pytest.mark.parametrize(
    ("steps", "step", "epoch", "requested"),
    [(5, 10, 0.5, True), (5, 11, 0.55, False), (5, 20, 1.0, False), (0, 10, 0.5, False)],
    ids=["due", "not due", "end of an epoch", "epochs only"],
)
def test_checkpoints_within_an_epoch_come_every_few_steps(
    arguments: TrainingArguments, steps: int, step: int, epoch: float, requested: bool
) -> None:
    control = TrainerControl()
    state = TrainerState(global_step=step, epoch=epoch)
    CheckpointCallback(steps).on_step_end(arguments, state, control)
    assert control.should_save is requested


def test_each_epoch_ends_with_a_checkpoint(arguments: TrainingArguments) -> None:
    control = TrainerControl()
    CheckpointCallback(0).on_epoch_end(arguments, TrainerState(), control)
    assert control.should_save


def test_the_curves_show_loss_f1_and_learning_rate() -> None:
    history = [
        {"epoch": 0.5, "loss": 2.0, "learning_rate": 1e-3},
        {"epoch": 1.0, "loss": 1.0, "learning_rate": 5e-4},
        {"epoch": 1.0, "eval_f1": 0.3},
        {"epoch": 2.0, "eval_f1": 0.6},
    ]
    figure = plot_curves(history)
    curves = {
        axes.get_title(loc="left"): [tuple(point) for point in axes.lines[0].get_xydata()]
        for axes in figure.axes
    }
    assert curves == {
        "Training loss": [(0.5, 2.0), (1.0, 1.0)],
        "Validation F1": [(1.0, 0.3), (2.0, 0.6)],
        "Learning rate": [(0.5, 1e-3), (1.0, 5e-4)],
    }


def test_a_training_without_a_logged_loss_still_has_a_plot() -> None:
    figure = plot_curves([{"epoch": 1.0, "eval_f1": 0.3}])
    assert len(figure.axes) == 3
    assert_readable(figure)
