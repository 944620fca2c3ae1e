"""Plots of a study show its complete trials, whatever their parameters are."""

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial
from readable_plots import assert_readable, points, rows

from ner_mlflow.plotting import Plot
from ner_mlflow.sweeping.plots import (
    plot_front,
    plot_history,
    plot_importance,
    plot_parameters,
    plot_plane,
)

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-4, 1e-1, log=True),
    "rank": IntDistribution(4, 64),
    "targets": CategoricalDistribution(
        ["all", "<img src=x onerror=alert(1)>", "$a$", "a_very_long_name_of_layers_of_a_model"]
    ),
    "model.a_setting_with_a_name_that_is_far_too_long_for_an_axis": FloatDistribution(0, 1),
}
KEYS = list(DISTRIBUTIONS)


def trials_of(*values: tuple[float, ...]) -> list[FrozenTrial]:
    """Return complete trials with these objective values."""
    random = np.random.default_rng(3)
    choices = DISTRIBUTIONS["targets"]
    assert isinstance(choices, CategoricalDistribution)
    trials = [
        create_trial(
            values=list(of_trial),
            params={
                KEYS[0]: float(10 ** -random.uniform(1, 4)),
                KEYS[1]: int(random.integers(4, 65)),
                KEYS[2]: choices.choices[number % 4],
                KEYS[3]: float(random.random()),
            },
            distributions=DISTRIBUTIONS,
        )
        for number, of_trial in enumerate(values)
    ]
    study = optuna.create_study(directions=["maximize"] * len(values[0]))
    study.add_trials(trials)
    return study.get_trials()


TRIALS = trials_of((0.5,), (0.7,), (0.6,), (0.8,))


@pytest.mark.parametrize(
    ("direction", "best"),
    [(StudyDirection.MAXIMIZE, [0.5, 0.7, 0.7, 0.8]), (StudyDirection.MINIMIZE, [0.5] * 4)],
)
def test_the_history_shows_each_trial_and_the_best_so_far(
    direction: StudyDirection, best: list[float]
) -> None:
    figure = plot_history(TRIALS, "f1", direction, "study")
    axes = figure.axes[0]
    assert points(axes) == [[(0, 0.5), (1, 0.7), (2, 0.6), (3, 0.8)]]
    assert np.asarray(axes.get_lines()[0].get_ydata()).tolist() == best
    assert isinstance(figure, Plot)
    assert figure.note == "n = 4 complete trials"
    assert_readable(figure)


def test_the_most_important_parameter_is_on_top() -> None:
    figure = plot_importance({"rank": 0.1, "rate": 0.9}, TRIALS, "f1")
    assert rows(figure.axes[0]) == ["rate", "rank"]
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.9, 0.1]
    assert_readable(figure)


def test_each_parameter_has_a_panel_with_a_point_for_each_trial() -> None:
    figure = plot_parameters(TRIALS, KEYS, "f1")
    assert [len(points(axes)[0]) for axes in figure.axes[:4]] == [4] * 4
    across = [x for x, _ in points(figure.axes[2])[0]]
    assert len(set(across)) == 4  # each choice has a place of its own
    assert figure.axes[0].get_xscale() == "log"
    assert_readable(figure)


@pytest.mark.parametrize("keys", [KEYS[:2], KEYS[2:], [KEYS[2], KEYS[0]]])
def test_a_plane_shows_two_parameters(keys: list[str]) -> None:
    figure = plot_plane(TRIALS, keys, "f1")
    (dots,) = figure.axes[0].collections
    assert len(np.asarray(dots.get_offsets())) == 4
    assert_readable(figure)


def test_a_trial_without_a_parameter_has_no_point() -> None:
    other = create_trial(values=[0.3])
    across = points(plot_parameters([*TRIALS, other], ["rate"], "f1").axes[0])[0]
    assert len(across) == 4


def test_the_front_is_marked_in_a_panel_for_each_further_objective() -> None:
    trials = trials_of((0.5, 1, 9), (0.7, 2, 8), (0.4, 0, 7))
    figure = plot_front(trials, trials[:2], ["f1", "size", "speed"])
    size, speed = figure.axes
    assert points(size) == [[(0, 0.4)], [(1, 0.5), (2, 0.7)]]
    assert points(speed) == [[(7, 0.4)], [(9, 0.5), (8, 0.7)]]
    assert isinstance(figure, Plot)
    assert figure.key == ["another trial", "trial on the front"]
    assert_readable(figure)


def test_one_trial_gives_plots_too() -> None:
    trials = trials_of((0.5,))
    for figure in (
        plot_history(trials, "f1", StudyDirection.MAXIMIZE, "study"),
        plot_parameters(trials, KEYS, "f1"),
        plot_plane(trials, KEYS[:2], "f1"),
    ):
        assert_readable(figure)
