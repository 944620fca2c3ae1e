"""Check that a plot can be read: what the tests of all plots share."""

import warnings
from itertools import combinations
from typing import Any
from unittest.mock import patch

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text

from ner_mlflow.plotting import DPI, TEXT_PT

WIDEST = 905
"""Pixels: the width at which MLflow's UI shows an artifact."""


def drawn_texts(figure: Figure) -> list[Text]:
    """Draw a figure and return the texts that are drawn."""
    drawn: list[Text] = []
    draw = Text.draw

    def draw_and_note(self: Text, *arguments: Any, **more: Any) -> None:
        if self.get_visible() and self.get_text().strip():
            drawn.append(self)
        draw(self, *arguments, **more)

    with patch.object(Text, "draw", draw_and_note):
        FigureCanvasAgg(figure).draw()
    return drawn


def assert_readable(figure: Figure) -> None:
    """Check width, sizes of letters, and that no text is cut, covered or warned of.

    Texts must not overlap each other, and the key must not overlap a panel.
    """
    figure.set_dpi(DPI)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn_texts(figure)  # the layout settles
        texts = list(dict.fromkeys(drawn_texts(figure)))
    page = figure.bbox
    assert page.width <= WIDEST
    boxes = []
    for text in texts:
        assert text.get_fontsize() >= TEXT_PT, text.get_text()
        box = text.get_window_extent()
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1
        assert inside, f"{text.get_text()!r} is cut at {box} of {page}"
        boxes.append((text.get_text(), box.padded(-1)))
    for (first, one), (second, other) in combinations(boxes, 2):
        assert not one.overlaps(other), f"{first!r} covers {second!r}"
    for legend in figure.legends:
        for axes in figure.axes:
            assert not legend.get_window_extent().overlaps(axes.get_window_extent())


def points(axes: Axes) -> list[list[tuple[float, float]]]:
    """Return the points of each line with markers, in drawing order, without NaN."""
    return [
        [(float(x), float(y)) for x, y in line.get_xydata() if x == x and y == y]  # type: ignore[union-attr]
        for line in axes.get_lines()
        if line.get_marker() not in ("None", "none", "", " ", None, "|", "_", 0, 1, 2, 3)
    ]


def error_bars(axes: Axes) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the ends of all error bars, in drawing order."""
    return [
        tuple((float(x), float(y)) for x, y in segment)
        for container in axes.containers
        if isinstance(container, ErrorbarContainer)
        for lines in container.lines[2]
        for segment in lines.get_segments()
    ]


def side_texts(axes: Axes) -> dict[str, list[str]]:
    """Return the columns of numbers beside a panel, by their heading."""
    columns: dict[float, list[str]] = {}
    for text in axes.texts:
        if getattr(text, "xyann", None) is not None:
            columns.setdefault(float(text.xyann[0]), []).append(text.get_text())  # type: ignore[attr-defined]
    return {texts[-1]: texts[:-1] for texts in columns.values()}


def rows(axes: Axes) -> list[str]:
    """Return the names of a panel's rows, the first on top."""
    labels = sorted(
        zip(axes.get_yticks(), axes.get_yticklabels(), strict=True), key=lambda pair: pair[0]
    )
    return [label.get_text() for _, label in labels]
