"""Plots draw the values that they are given."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.container import BarContainer, ErrorbarContainer
from numpy.typing import NDArray

from ner_mlflow.evaluation.plots import (
    CELLS_WITH_NUMBERS,
    plot_confusion,
    plot_differences,
    plot_intervals,
    plot_reliability,
    plot_slices,
    plot_tradeoff,
    plot_type_scores,
)
from ner_mlflow.evaluation.robustness import plot_robustness
from ner_mlflow.evaluation.significance import Interval


def bar_heights(axes: Axes) -> list[list[float]]:
    return [
        [float(bar.get_height()) for bar in container]
        for container in axes.containers
        if isinstance(container, BarContainer)
    ]


def error_bars(axes: Axes) -> list[NDArray[np.float64]]:
    """Return the end points of all error bars, one array of shape (2, 2) each, in drawing order."""
    return [
        np.asarray(segment)
        for container in axes.containers
        if isinstance(container, ErrorbarContainer)
        for lines in container.lines[2]
        for segment in lines.get_segments()
    ]


def x_labels(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


def y_labels(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def texts(axes: Axes) -> dict[tuple[float, float], str]:
    return {text.get_position(): text.get_text() for text in axes.texts}


def test_a_confusion_shows_shares_as_colours_and_counts_as_numbers() -> None:
    confusion = pd.DataFrame([[6, 2], [0, 0]], index=["OS", "O"], columns=["OS", "O"])
    axes = plot_confusion(confusion, "words").axes[0]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]
    assert texts(axes) == {(0, 0): "6", (1, 0): "2", (0, 1): "0", (1, 1): "0"}
    assert (x_labels(axes), y_labels(axes)) == (["OS", "O"], ["OS", "O"])
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == (
        "predicted",
        "gold",
        "words",
    )


def test_a_large_confusion_shows_no_numbers() -> None:
    names = [f"T{index}" for index in range(CELLS_WITH_NUMBERS + 1)]
    confusion = pd.DataFrame(np.ones((len(names), len(names))), index=names, columns=names)
    assert texts(plot_confusion(confusion, "words").axes[0]) == {}


def test_type_scores_show_three_bars_for_each_type_and_the_interval_of_f1() -> None:
    scores = {
        "OS/precision": 0.5,
        "OS/recall": 0.25,
        "OS/f1": 1 / 3,
        "OS/support": 8.0,
        "ERROR/precision": 1.0,
        "ERROR/recall": 0.75,
        "ERROR/f1": 6 / 7,
        "ERROR/support": 4.0,
    }
    figure = plot_type_scores(scores, ["OS", "ERROR", "GPU"], "test", {"OS/": Interval(0.2, 0.4)})
    axes = figure.axes[0]
    assert bar_heights(axes) == [[0.5, 1.0, 0.0], [0.25, 0.75, 0.0], [1 / 3, 6 / 7, 0.0]]
    assert axes.get_legend_handles_labels()[1] == ["precision", "recall", "f1"]
    assert x_labels(axes) == ["OS\n(8)", "ERROR\n(4)", "GPU\n(0)"]
    (interval,) = error_bars(axes)
    f1_bar = [c for c in axes.containers if isinstance(c, BarContainer)][2][0]
    assert interval[:, 1] == pytest.approx([0.2, 0.4])
    assert interval[:, 0] == pytest.approx([f1_bar.get_x() + f1_bar.get_width() / 2] * 2, abs=0.01)


def test_slices_have_a_panel_for_each_criterion() -> None:
    slices = pd.DataFrame(
        {
            "by": ["words", "words", "surface"],
            "slice": ["1 to 9", "10 or more", "seen"],
            "gold": [5, 7, 9],
            "f1": [0.5, 0.6, 0.7],
            "f1_low": [0.4, 0.5, 0.7],
            "f1_high": [0.6, 0.9, 0.8],
        }
    )
    figure = plot_slices(slices, "parts of test")
    words, surface = figure.axes
    assert (words.get_xlabel(), surface.get_xlabel()) == ("words", "surface")
    assert (bar_heights(words), bar_heights(surface)) == ([[0.5, 0.6]], [[0.7]])
    assert x_labels(words) == ["1 to 9\n(5)", "10 or more\n(7)"]
    assert [bar[:, 1].tolist() for bar in error_bars(words)] == [
        pytest.approx([0.4, 0.6]),
        pytest.approx([0.5, 0.9]),
    ]
    assert figure.get_suptitle() == "parts of test"


def test_reliability_shows_precision_over_confidence_and_the_size_of_bins() -> None:
    table = pd.DataFrame(
        {
            "from": [0.0, 0.5],
            "to": [0.5, 1.0],
            "entities": [3, 8],
            "mean_confidence": [0.4, 0.9],
            "precision": [0.3, 0.95],
        }
    )
    curve, histogram = plot_reliability(table, "calibration").axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in curve.get_lines()}
    assert lines == {"calibrated": [[0, 0], [1, 1]], "model": [[0.4, 0.3], [0.9, 0.95]]}
    assert bar_heights(histogram) == [[3, 8]]
    (bars,) = histogram.containers
    assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == pytest.approx([0.25, 0.75])
    assert (histogram.get_xlabel(), histogram.get_ylabel()) == ("confidence", "entities")


def test_differences_are_signed_by_row_and_bold_where_significant() -> None:
    differences = pd.DataFrame(
        [("a", "b", 0.02, 0.01), ("a", "c", 0.03, 0.05), ("b", "c", 0.01, 0.4)],
        columns=["model", "other", "f1_difference", "p_value"],
    )
    axes = plot_differences(differences, ["a", "b", "c"], 0.05).axes[0]
    assert axes.images[0].get_array().tolist() == [
        [0, 0.02, 0.03],
        [-0.02, 0, 0.01],
        [-0.03, -0.01, 0],
    ]
    shown = texts(axes)
    assert (shown[1, 0], shown[0, 1]) == ("+0.020\np 0.01", "-0.020\np 0.01")
    bold = {text.get_position() for text in axes.texts if text.get_fontweight() == "bold"}
    assert bold == {(1, 0), (0, 1), (2, 0), (0, 2)}
    assert (x_labels(axes), y_labels(axes)) == (["a", "b", "c"], ["a", "b", "c"])


def test_intervals_are_drawn_with_the_first_model_on_top() -> None:
    results = pd.DataFrame(
        {"model": ["best", "other"], "f1": [0.8, 0.7], "f1_low": [0.75, 0.6], "f1_high": [0.9, 0.8]}
    )
    axes = plot_intervals(results, "F1").axes[0]
    (points, *_) = axes.get_lines()
    assert points.get_xydata().tolist() == [[0.8, 1], [0.7, 0]]
    assert dict(zip(axes.get_yticks(), y_labels(axes), strict=True)) == {1: "best", 0: "other"}
    assert [bar[:, 0].tolist() for bar in error_bars(axes)] == [
        pytest.approx([0.75, 0.9]),
        pytest.approx([0.6, 0.8]),
    ]


def test_the_tradeoff_joins_the_files_on_the_front() -> None:
    variants = pd.DataFrame(
        {
            "model": ["a", "a", "b"],
            "variant": ["fp32", "int8", "fp32"],
            "latency_p50_ms": [8.0, 2.0, 9.0],
            "size_mb": [90.0, 23.0, 20.0],
            "validation_f1": [0.8, 0.7, 0.6],
            "validation_f1_low": [0.75, 0.65, 0.5],
            "validation_f1_high": [0.85, 0.75, 0.7],
            "pareto_latency_p50_ms": [True, True, False],
            "pareto_size_mb": [True, True, True],
        }
    )
    latency, size = plot_tradeoff(variants).axes
    fronts = [
        line.get_xydata().tolist()
        for axes in (latency, size)
        for line in axes.get_lines()
        if same_color(line.get_color(), "grey")
    ]
    assert fronts == [[[2.0, 0.7], [8.0, 0.8]], [[20.0, 0.6], [23.0, 0.7], [90.0, 0.8]]]
    assert [text.get_text() for text in latency.texts] == ["fp32", "int8", "fp32"]
    assert latency.get_legend_handles_labels()[1] == ["a", "b"]
    assert (latency.get_xlabel(), size.get_xlabel()) == ("latency p50, ms", "size, MB")
    assert [bar[:, 1].tolist() for bar in error_bars(size)] == [
        pytest.approx([0.75, 0.85]),
        pytest.approx([0.65, 0.75]),
        pytest.approx([0.5, 0.7]),
    ]


def test_robustness_shows_a_bar_for_each_severity_and_the_most_harmful_kind_first() -> None:
    table = pd.DataFrame(
        [
            ("clean", 0, 0.0),
            ("typos", 1, 0.05),
            ("typos", 2, 0.1),
            ("casing", 1, 0.02),
            ("casing", 2, 0.3),
        ],
        columns=["kind", "severity", "f1_drop"],
    )
    axes = plot_robustness(table, "robustness").axes[0]
    assert x_labels(axes) == ["casing", "typos"]
    assert bar_heights(axes) == [[0.02, 0.05], [0.3, 0.1]]
    assert axes.get_legend_handles_labels()[1] == ["severity 1", "severity 2"]
    assert axes.get_ylabel() == "F1 lost"
