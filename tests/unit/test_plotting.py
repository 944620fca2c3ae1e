"""The style of plots: colours that differ, names that fit, and characters that show."""

import io
import warnings
from itertools import combinations, pairwise

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from readable_plots import assert_readable, drawn_texts

from ner_mlflow.plotting import (
    COLOURS,
    DPI,
    FONT,
    NAME_COLUMNS,
    STYLE,
    WIDTH_IN,
    interval_note,
    key_line,
    log_axis,
    name_rows,
    new_plot,
    number,
    plotly_layout,
    series,
    short_name,
    shown,
)

SEEN_BY = {
    "anyone": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Matrices of linear RGB: Machado, Oliveira and Fernandes, IEEE TVCG 2009, severity 1."""
XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
) / np.array([[0.9505], [1], [1.089]])


def lab(colour: str, viewer: str = "anyone") -> NDArray[np.float64]:
    """Return a colour in CIELAB as someone sees it; the first number is the lightness."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(np.array(SEEN_BY[viewer]) @ linear, 0, 1)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("viewer", SEEN_BY)
def test_any_two_colours_differ_for_every_kind_of_colour_vision(viewer: str) -> None:
    for one, other in combinations(COLOURS, 2):
        assert np.linalg.norm(lab(one, viewer) - lab(other, viewer)) > 25, (one, other)


def test_the_first_four_colours_differ_in_grey() -> None:
    for one, other in combinations(COLOURS[:4], 2):
        assert abs(lab(one)[0] - lab(other)[0]) > 15, (one, other)


def test_seventy_series_all_differ_and_neighbours_differ_in_colour_and_shape() -> None:
    looks = [series(index) for index in range(70)]
    assert len({(look.colour, look.marker) for look in looks}) == 70
    for one, other in pairwise(looks):
        assert one.colour != other.colour
        assert one.marker != other.marker


def test_a_plot_is_as_wide_as_the_ui_shows_it_and_as_high_as_its_parts() -> None:
    with new_plot("title", height_in=2) as plain:
        plain.subplots()
    with new_plot("title " * 40, "a long note " * 40, height_in=2) as long:
        long.subplots()
        for index in range(20):
            long.add_key(key_line(series(index)), f"entry {index}")
    assert plain.get_figwidth() == long.get_figwidth() == WIDTH_IN
    assert 2.2 < plain.get_figheight() < 2.6
    assert long.get_figheight() > plain.get_figheight() + 1.5
    assert_readable(plain)
    assert_readable(long)


def test_the_key_lists_a_text_once() -> None:
    with new_plot("title") as figure:
        for text in ("a", "b", "a"):
            figure.add_key(key_line(series(0)), text)
    assert figure.key == ["a", "b"]


def test_the_style_holds_when_a_plot_is_saved_and_for_no_other_plot() -> None:
    before = dict(mpl.rcParams)
    with new_plot("title") as figure:
        axes = figure.subplots()
    axes.plot([0, 10_000], [0, 1])  # new ticks are made while it is drawn
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    assert {tick.label1.get_fontsize() for tick in axes.xaxis.get_major_ticks()} == {
        STYLE["xtick.labelsize"]
    }
    assert dict(mpl.rcParams) == before
    width = int.from_bytes(buffer.getvalue()[16:20], "big")
    assert width == round(WIDTH_IN * DPI)


# Names


@pytest.mark.parametrize(
    ("name", "lines", "expected"),
    [
        ("minilm_full", 2, "minilm_full"),
        ("minilm_full_weak seed 13 a1b2c3", 2, "minilm_full_weak seed 13\na1b2c3"),
        ("granite/full-weak.with_long_names seed 13 and more a1b2c3", 2, None),
        ("granite/full-weak.with_long_names seed 13 and more a1b2c3", 1, None),
        ("x" * 200, 2, f"{'x' * 25}…\n{'x' * 26}"),
        ("製" * 100, 2, None),
        ("", 2, ""),
    ],
)
def test_a_long_name_is_wrapped_and_then_loses_its_middle(
    name: str, lines: int, expected: str | None
) -> None:
    short = short_name(name, lines=lines)
    assert expected is None or short == expected
    assert len(short.split("\n")) <= lines
    if len(name) > NAME_COLUMNS * lines:
        assert "…" in short
        assert short.replace("\n", "").endswith(name[-3:]) or name.startswith("製")


def test_names_that_differ_at_their_end_stay_different() -> None:
    name = "a/long/path/of/a/model/that/has/been/trained seed "
    assert short_name(f"{name}1") != short_name(f"{name}2")
    assert short_name(f"{name}1", lines=1) != short_name(f"{name}2", lines=1)


def test_characters_without_a_glyph_are_escaped_and_control_characters_too() -> None:
    assert shown("a\tb\x1b\u202e") == r"a\tb\x1b\u202e"
    assert shown("\U0010ffff") == r"\U0010ffff"
    assert shown("naïve Ω →") == "naïve Ω →"


@pytest.mark.parametrize(
    "name", ["製品名", "مدينة", "देवनागरी", "$\\frac{", "_hidden", "😀", "a\x00b"]
)
def test_any_name_is_drawn_without_a_warning(name: str) -> None:
    with new_plot(name, name) as figure:
        axes = figure.subplots()
        name_rows(axes, [short_name(name)])
        axes.set_xlabel(name)  # not made ready, as in code that forgets it
        figure.add_key(key_line(series(0)), name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        texts = drawn_texts(figure)
    assert [str(warning.message) for warning in caught] == []
    assert FONT in texts[0].get_fontfamily()
    assert shown(name).strip() in [text.get_text().strip() for text in texts]


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.50"), (-0.021, "−0.02"), (-0.0001, "0.00"), (float("nan"), "–")]
)
def test_numbers_have_a_minus_and_unknown_ones_a_dash(value: float, text: str) -> None:
    assert number(value) == text


def test_a_note_states_the_level_of_intervals_where_it_is_known() -> None:
    assert interval_note(0.95) == "bars: 95 % bootstrap interval"
    assert interval_note(0.995, "lines") == "lines: 99.5 % bootstrap interval"
    assert interval_note() == "bars: bootstrap interval"


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 9), (1e-5, 1), (0.5, 4e9)])
def test_a_logarithmic_axis_has_few_plain_numbers(low: float, high: float) -> None:
    with new_plot("title") as figure:
        axes = figure.subplots()
        ends = log_axis(axes.xaxis, low, high, 5)
    ticks = [tick for tick in axes.get_xticks() if ends[0] <= tick <= ends[1]]
    assert 1 <= len(ticks) <= 5
    assert ends[0] < low <= high < ends[1]
    assert not any("$" in text.get_text() for text in drawn_texts(figure))


def test_interactive_plots_have_the_colours_and_the_font() -> None:
    layout = plotly_layout()
    assert layout["colorway"] == list(COLOURS)
    assert layout["font"]["family"].startswith(FONT)
