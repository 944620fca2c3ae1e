"""Plots draw the values that they are given, and can be read whatever they are given."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.container import BarContainer
from readable_plots import assert_readable, error_bars, points, rows, side_texts

from ner_mlflow.evaluation.calibration import FEW_ENTITIES, reliability
from ner_mlflow.evaluation.comparison import pareto_front
from ner_mlflow.evaluation.plots import (
    COLOURED_MODELS,
    MOST_TYPES,
    NO_SCORE,
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
from ner_mlflow.plotting import COLOURS, PALE, Plot

HOSTILE = [
    "OS",
    "<img src=x onerror=alert(1)>",
    "$\\frac{a",
    "_hidden",
    "製品名",
    "مدينة",
    "a|b",
    "Organization/Company_Name_of_the_vendor_of_a_device_that_a_text_names",
    "tab\there",
    "",
]
"""Names of types and models as users may have them."""


def names(count: int) -> list[str]:
    return [HOSTILE[i] if i < len(HOSTILE) else f"Type_{i}" for i in range(count)]


def bar_heights(axes: Axes) -> list[list[float]]:
    return [
        [float(bar.get_height()) for bar in container]
        for container in axes.containers
        if isinstance(container, BarContainer)
    ]


def x_labels(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_xticklabels()]


def texts(axes: Axes) -> dict[tuple[float, float], str]:
    return {text.get_position(): text.get_text() for text in axes.texts}


# Confusions


def test_a_confusion_shows_shares_as_colours_and_counts_as_numbers() -> None:
    confusion = pd.DataFrame([[6, 2], [3, 0]], index=["OS", "O"], columns=["OS", "O"])
    figure = plot_confusion(confusion, "title", "words")
    axes = figure.axes[0]
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25], [1, 0]]
    assert texts(axes) == {(0, 0): "6", (1, 0): "2", (0, 1): "3"}
    assert x_labels(axes) == ["OS", "O"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["OS (8)", "O (3)"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "gold")
    assert isinstance(figure, Plot)
    assert figure.get_suptitle() == "title"
    assert "n = 11 words" in figure.note


def test_a_type_without_gold_has_an_empty_row_in_a_confusion() -> None:
    confusion = pd.DataFrame([[0, 0], [1, 1]], index=["OS", "O"], columns=["OS", "O"])
    axes = plot_confusion(confusion, "title").axes[0]
    shares = np.ma.filled(axes.images[0].get_array(), np.nan)
    assert np.isnan(shares[0]).all()
    assert shares[1].tolist() == [0.5, 0.5]


def test_the_rarest_types_of_a_very_large_confusion_are_added_up() -> None:
    count = MOST_TYPES + 10
    labels = [*(f"T{index}" for index in range(count)), "O"]
    counts = np.diag([*range(1, count + 1), 1])
    confusion = pd.DataFrame(counts, index=labels, columns=labels)
    figure = plot_confusion(confusion, "title")
    shown = x_labels(figure.axes[0])
    assert len(shown) == MOST_TYPES + 1  # with that of the others
    assert {"11 other types", "O", f"T{count - 1}"} <= set(shown)
    assert "T0" not in shown
    assert f"n = {counts.sum():,}" in figure.note  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [0, 1, 2, 10, 40, 80])
def test_a_confusion_can_be_read(count: int) -> None:
    labels = [*names(count), "O"]
    counts = np.random.default_rng(1).poisson(0.5, (count + 1, count + 1)) * 1234
    assert_readable(plot_confusion(pd.DataFrame(counts, index=labels, columns=labels), "Words"))


# Types and slices

SCORES = {
    "OS/precision": 0.5,
    "OS/recall": 0.25,
    "OS/f1": 1 / 3,
    "OS/support": 8.0,
    "ERROR/precision": 1.0,
    "ERROR/recall": 0.75,
    "ERROR/f1": 6 / 7,
    "ERROR/support": 4.0,
}


def test_type_scores_are_points_by_falling_f1_with_its_interval() -> None:
    figure = plot_type_scores(
        SCORES, ["OS", "ERROR", "GPU"], "test", {"OS/": Interval(0.2, 0.4)}, 0.9
    )
    axes = figure.axes[0]
    assert rows(axes) == ["ERROR", "OS", "GPU"]
    precision, recall, f1 = points(axes)
    assert [x for x, _ in precision] == [1.0, 0.5]
    assert [x for x, _ in recall] == [0.75, 0.25]
    assert [x for x, _ in f1] == pytest.approx([6 / 7, 1 / 3])
    ends = [[x for x, _ in bar] for bar in error_bars(axes)]
    assert ends[1] == pytest.approx([0.2, 0.4])
    assert side_texts(axes) == {"F1": ["0.86", "0.33", "–"], "n gold": ["4", "8", "0"]}
    assert isinstance(figure, Plot)
    assert figure.key == ["precision", "recall", "F1"]
    assert "n = 12 gold entities; bars of F1: 90 % bootstrap interval" in figure.note


def test_a_type_without_entities_has_a_row_and_no_point() -> None:
    axes = plot_type_scores(SCORES, ["GPU", "OS"], "test", {}).axes[0]
    row_of_gpu = axes.get_yticks()[1]
    assert all(y != row_of_gpu for line in points(axes) for _, y in line)
    assert texts(axes)[0.0, row_of_gpu] == NO_SCORE


@pytest.mark.parametrize("count", [0, 1, 2, 10, 40])
def test_type_scores_can_be_read(count: int) -> None:
    scores = {
        f"{type_}/{name}": 0.5
        for type_ in names(count)[1:]
        for name in ("precision", "recall", "f1", "support")
    }
    assert_readable(plot_type_scores(scores, names(count), "Scores", {}))


SLICES = pd.DataFrame(
    {
        "by": ["words", "words", "surface"],
        "slice": ["1 to 9", "10 or more", "seen"],
        "gold": [5, 0, 9],
        "predicted": [4, 0, 9],
        "f1": [0.5, np.nan, 0.7],
        "f1_low": [0.4, np.nan, 0.7],
        "f1_high": [0.6, np.nan, 0.8],
    }
)


def test_slices_have_a_panel_for_each_criterion_and_an_empty_one_has_no_point() -> None:
    figure = plot_slices(SLICES, "parts of test", 0.95)
    words, surface = figure.axes
    assert (rows(words), rows(surface)) == (["1 to 9", "10 or more"], ["seen"])
    assert [[x for x, _ in line] for line in (*points(words), *points(surface))] == [[0.5], [0.7]]
    assert [[x for x, _ in bar] for bar in error_bars(words)] == [pytest.approx([0.4, 0.6])]
    assert side_texts(words) == {
        "F1": ["0.50", "–"],
        "n gold": ["5", "0"],
        "n predicted": ["4", "0"],
    }
    assert NO_SCORE in texts(words).values()
    assert figure.get_suptitle() == "parts of test"
    assert_readable(figure)


def test_a_table_without_slices_gives_a_plot_that_states_it() -> None:
    figure = plot_slices(SLICES[:0], "parts of test")
    assert list(texts(figure.axes[0]).values()) == ["There are no slices."]
    assert_readable(figure)


# Calibration


def test_reliability_shows_precision_over_confidence_and_the_size_of_bins() -> None:
    confidences = np.array([0.4] * 3 + [0.9] * 20)
    correct = np.array([True, False, False] + [True] * 19 + [False])
    table = reliability(confidences, correct, 2)
    figure = plot_reliability(table, "calibration")
    curve, histogram = figure.axes
    drawn = points(curve)
    assert [[pytest.approx(point) for point in line] for line in drawn] == [
        [(0.9, 0.95)],
        [(0.4, 1 / 3)],
    ]
    few = [line for line in curve.get_lines() if same_color(line.get_markerfacecolor(), "white")]
    assert len(few[0].get_xydata()) == 1  # type: ignore[arg-type]  # 3 entities are few
    assert bar_heights(histogram) == [[3, 20]]
    assert [text.get_text() for text in histogram.texts] == ["3", "20"]
    (low, high) = error_bars(curve)[0]
    assert low[1] < 1 / 3 < high[1]
    assert isinstance(figure, Plot)
    assert f"fewer than {FEW_ENTITIES} entities" in figure.note
    assert "n = 23" in figure.note


def test_an_empty_bin_interrupts_the_line() -> None:
    confidences = np.array([0.1, 0.3, 0.9])
    curve = plot_reliability(reliability(confidences, confidences > 0, 5), "title").axes[0]
    line = np.asarray(curve.get_lines()[1].get_xydata())
    assert np.isnan(line).any(axis=1).tolist() == [False, False, True, False]


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_reliability_plot_can_be_read(count: int) -> None:
    confidences = np.random.default_rng(1).random(count)
    assert_readable(plot_reliability(reliability(confidences, confidences > 0.3, 10), "title"))


# Comparisons


def differences_of(models: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (first, second, 0.01 * (later - earlier), 0.01 * (later - earlier))
            for earlier, first in enumerate(models)
            for later, second in enumerate(models)
            if earlier < later
        ],
        columns=["model", "other", "f1_difference", "p_value"],
    )


def test_differences_are_signed_by_row_and_bold_where_significant() -> None:
    differences = pd.DataFrame(
        [("a", "b", 0.02, 0.01), ("a", "c", 0.03, 0.05), ("b", "c", 0.01, 0.4)],
        columns=["model", "other", "f1_difference", "p_value"],
    )
    figure = plot_differences(differences, ["a", "b", "c"], 0.05)
    axes = figure.axes[0]
    values = np.ma.filled(axes.images[0].get_array(), 0)
    assert values.tolist() == [[0, 0.02, 0.03], [-0.02, 0, 0.01], [-0.03, -0.01, 0]]
    shown = texts(axes)
    assert (shown[1, 0], shown[0, 1]) == ("+0.020\np 0.01", "−0.020\np 0.01")
    bold = {text.get_position() for text in axes.texts if text.get_fontweight() == "bold"}
    assert bold == {(1, 0), (0, 1), (2, 0), (0, 2)}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a  1", "b  2", "c  3"]
    assert x_labels(axes) == ["1", "2", "3"]


def test_differences_of_many_models_have_signs_where_they_are_significant() -> None:
    models = [f"model {index}" for index in range(20)]
    shown = texts(plot_differences(differences_of(models), models, 0.05).axes[0])
    assert (shown[5, 0], shown[0, 5], shown[6, 0]) == ("+", "−", "")


@pytest.mark.parametrize("count", [1, 2, 5, 10, 20])
def test_differences_can_be_read(count: int) -> None:
    assert_readable(plot_differences(differences_of(names(count)), names(count), 0.05))


def test_intervals_are_drawn_with_the_first_model_on_top() -> None:
    results = pd.DataFrame(
        {"model": ["best", "other"], "f1": [0.8, 0.7], "f1_low": [0.75, 0.6], "f1_high": [0.9, 0.8]}
    )
    figure = plot_intervals(results, "F1", 0.95, "n = 30 sentences")
    axes = figure.axes[0]
    assert rows(axes) == ["best", "other"]
    assert [[x for x, _ in line] for line in points(axes)] == [[0.8, 0.7]]
    assert axes.yaxis_inverted()
    assert [[x for x, _ in bar] for bar in error_bars(axes)] == [
        pytest.approx([0.75, 0.9]),
        pytest.approx([0.6, 0.8]),
    ]
    assert side_texts(axes)["interval"] == ["0.750 to 0.900", "0.600 to 0.800"]
    assert figure.note == "n = 30 sentences; bars: 95 % bootstrap interval"  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_intervals_can_be_read(count: int) -> None:
    f1 = np.linspace(0.9, 0.6, count)
    results = pd.DataFrame(
        {"model": names(count), "f1": f1, "f1_low": f1 - 0.05, "f1_high": f1 + 0.05}
    )
    if count == 2:
        results.loc[1, ["f1", "f1_low", "f1_high"]] = np.nan
    assert_readable(plot_intervals(results, "F1"))


def variants_of(models: list[str], kinds: tuple[str, ...] = ("fp32", "int8")) -> pd.DataFrame:
    random = np.random.default_rng(2)
    table = pd.DataFrame(
        [(model, kind) for model in models for kind in kinds], columns=["model", "variant"]
    )
    table["size_mb"] = random.uniform(20, 900, len(table))
    table["latency_p50_ms"] = table["size_mb"] / 10
    table["validation_f1"] = random.uniform(0.6, 0.9, len(table))
    return with_fronts(table)


def with_fronts(table: pd.DataFrame) -> pd.DataFrame:
    table["validation_f1_low"] = table["validation_f1"] - 0.05
    table["validation_f1_high"] = table["validation_f1"] + 0.05
    for cost in ("latency_p50_ms", "size_mb"):
        table[f"pareto_{cost}"] = pareto_front(
            table[cost].to_numpy(float), table["validation_f1"].to_numpy(float)
        )
    return table


THREE_FILES = with_fronts(
    pd.DataFrame(
        {
            "model": ["a", "a", "b"],
            "variant": ["fp32", "int8", "fp32"],
            "latency_p50_ms": [8.0, 2.0, 9.0],
            "size_mb": [90.0, 23.0, 20.0],
            "validation_f1": [0.8, 0.7, 0.6],
        }
    )
)


def test_the_tradeoff_joins_and_numbers_the_files_on_the_front() -> None:
    figure = plot_tradeoff(THREE_FILES, 0.95)
    latency, size = figure.axes
    fronts = [
        np.asarray(line.get_xydata()).tolist()
        for axes in (latency, size)
        for line in axes.get_lines()
        if line.get_linestyle() == "--"
    ]
    assert fronts == [[[2.0, 0.7], [8.0, 0.8]], [[20.0, 0.6], [23.0, 0.7], [90.0, 0.8]]]
    assert sorted(text.get_text() for text in latency.texts) == ["1", "2"]
    assert isinstance(figure, Plot)
    assert figure.key == ["fp32", "int8", "a", "b", "1: a fp32", "2: a int8", "3: b fp32"]
    assert [axes.get_xlabel().split(",")[0] for axes in (latency, size)] == [
        "median latency of one sentence",
        "size",
    ]
    assert [[y for _, y in bar] for bar in error_bars(size)] == [
        pytest.approx([0.75, 0.85]),
        pytest.approx([0.65, 0.75]),
        pytest.approx([0.55, 0.65]),
    ]


def test_the_files_of_one_model_are_named_by_their_variant() -> None:
    figure = plot_tradeoff(THREE_FILES[:2])
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["fp32", "int8"]
    assert figure.key == ["fp32", "int8"]  # type: ignore[attr-defined]


def test_of_many_models_those_on_a_front_are_coloured() -> None:
    variants = variants_of([f"model {index}" for index in range(COLOURED_MODELS + 5)])
    front = variants["pareto_size_mb"] | variants["pareto_latency_p50_ms"]
    axes = plot_tradeoff(variants).axes[0]
    coloured = [not same_color(line.get_color(), PALE) for line in axes.get_lines()[1:]]
    markers = [line for line in axes.get_lines()[1:] if line.get_marker() in "os"]
    assert any(coloured)
    for line, (_, row) in zip(markers, variants.iterrows(), strict=True):
        expected = row["model"] in set(variants.loc[front, "model"])
        assert same_color(line.get_color(), PALE) != expected


@pytest.mark.parametrize("count", [0, 1, 2, 7, 20])
def test_a_tradeoff_can_be_read(count: int) -> None:
    assert_readable(plot_tradeoff(variants_of(names(count))))


def test_two_models_differ_in_colour() -> None:
    axes = plot_tradeoff(variants_of(["a", "b"], ("fp32",))).axes[0]
    colours = [line.get_color() for line in axes.get_lines() if line.get_marker() == "o"]
    assert colours == list(COLOURS[:2])


# Robustness


def test_robustness_shows_a_point_for_each_severity_and_the_most_harmful_kind_first() -> None:
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
    figure = plot_robustness(table, "robustness", "n = 9 sentences")
    axes = figure.axes[0]
    assert rows(axes) == ["casing", "typos"]
    assert [[x for x, _ in line] for line in points(axes)] == [[0.02, 0.05], [0.3, 0.1]]
    assert isinstance(figure, Plot)
    assert figure.key == ["severity 1", "severity 2"]
    assert figure.note.startswith("n = 9 sentences")
    assert axes.get_xlabel().startswith("F1 lost")
    assert_readable(figure)
    assert_readable(plot_robustness(table[:1], "robustness"))
