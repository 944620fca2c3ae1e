"""The style of all plots: sizes, colours and fonts, and the figures that carry them.

A plot is drawn inside :func:`new_plot`, which puts title, note and key above the panels, so that
none of them covers data. The width is that of the artifact view of MLflow's UI.
"""

import math
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike

WIDTH_IN = 8.2
DPI = 110
"""Pixels an inch: :data:`WIDTH_IN` is 902 pixels, as wide as MLflow's UI shows an artifact."""
FONT = "DejaVu Sans"
"""The font of all plots; matplotlib brings it."""
TEXT_PT = 9.0
"""The smallest text."""
TITLE_PT = 11.0
INK, PALE, RULE, BAND = "#1f2937", "#57606a", "#dfe3e8", "#f4f6f8"
"""Colours of texts, of notes, of lines behind the data, and of every other row."""
COLOURS = ("#16599c", "#daa60b", "#d65c7a", "#2f3715", "#8c25f4", "#36b7e2", "#795c06")
"""Colours of series. Any two differ also for readers with protanopia, deuteranopia or tritanopia,
and the first four in grey (tests/unit/test_plotting.py)."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
SHADES = "Blues"
"""Colours of shares from 0 to 1, from light to dark."""
VALUES = mpl.colormaps["cividis_r"]
"""Colours of other values, from light to dark."""
SIGNED = "RdBu"
"""Colours of differences: red below 0, blue above."""
STYLE: Mapping[str, Any] = {
    "figure.dpi": DPI,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.axisbelow": True,
    "axes.edgecolor": PALE,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.labelsize": TEXT_PT,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": TEXT_PT + 0.5,
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.unicode_minus": True,
    "font.size": TEXT_PT,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "image.interpolation": "nearest",
    "legend.fontsize": TEXT_PT,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markeredgecolor": INK,
    "lines.markeredgewidth": 0.6,
    "lines.markersize": 6.5,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "xtick.color": PALE,
    "xtick.labelcolor": INK,
    "xtick.labelsize": TEXT_PT,
    "ytick.color": PALE,
    "ytick.labelcolor": INK,
    "ytick.labelsize": TEXT_PT,
}
"""matplotlib's settings. :func:`plotly_layout` takes what it needs from the same table."""
NAME_COLUMNS, NAME_LINES = 26, 2
"""Characters of a line and lines of a name on an axis; a longer name is elided."""
ROW_IN = 0.27
"""Height of a row with a name of one line."""
LINE_IN = 0.155
"""Height of a further line of text."""
CHARACTER_IN = 0.6 * TEXT_PT / 72
"""Width of a character, somewhat more than the average."""
BANDED_ROWS = 7
"""A panel of so many rows has a band behind every other one."""
_PLACEHOLDERS = "Last Resort"
"""A font that has a box with a code for every character; matplotlib brings it."""
_HEAD_PAD_IN, _SIDE_PAD_IN = 0.1, 0.08
_KEY_HANDLE_IN, _KEY_GAP_IN = 0.36, 0.22


@dataclass(frozen=True)
class Series:
    """How one of several series looks; it differs from the others in shape as well as colour."""

    colour: str
    marker: str

    @property
    def points(self) -> dict[str, Any]:
        """Return the arguments of :meth:`~matplotlib.axes.Axes.plot` for points without a line."""
        return {"color": self.colour, "marker": self.marker, "linestyle": "none"}


def series(index: int) -> Series:
    """Return the look of a series; the first 70 all differ."""
    return Series(COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)])


class Plot(Figure):
    """A figure in the style, also when it is drawn and saved later.

    matplotlib makes ticks and looks up fonts while it draws, so that the style must hold then too.
    """

    def __init__(self, title: str, note: str, height_in: float, width_in: float) -> None:
        """
        Args:
            title: what the plot shows; wrapped, never cut.
            note: what its marks mean, how many items it counts; wrapped below the title.
            height_in: height of the panels with their axes, without title, note and key.
            width_in: width of the whole.
        """
        super().__init__(figsize=(width_in, height_in), layout=ConstrainedLayoutEngine())
        self._title, self._note = title, note
        self._height_in, self._width_in = height_in, width_in
        self._key: list[tuple[Artist, str]] = []
        self._last_steps: list[Callable[[], None]] = []

    def add_key(self, handle: Artist, text: str) -> None:
        """Add an entry to the key above the panels; an equal text is added once."""
        if text not in [known for _, known in self._key]:
            self._key.append((handle, text))

    @property
    def key(self) -> list[str]:
        """Return the texts of the key."""
        return [text for _, text in self._key]

    def get_suptitle(self) -> str:
        """Return the title."""
        return self._title

    @property
    def note(self) -> str:
        """Return the note below the title."""
        return self._note

    def after_layout(self, step: Callable[[], None]) -> None:
        """Add what needs the final size of the panels, such as :func:`place_labels`."""
        self._last_steps.append(step)

    def arrange(self) -> None:
        """Set the height, and place title, note and key above the panels."""
        title = _wrap(shown(self._title), _fitting(TITLE_PT * 0.62, self._width_in))
        note = _wrap(shown(self._note), _fitting(TEXT_PT * 0.53, self._width_in))
        rows = _key_rows([shown(text) for text in self.key], self._width_in)
        title_line_in = LINE_IN * TITLE_PT / TEXT_PT * 1.1
        heights = (
            title_line_in * len(title),
            LINE_IN * len(note) * bool(self._note),
            1.3 * LINE_IN * len(rows),
        )
        head_in = sum(heights) + _HEAD_PAD_IN * (1 + sum(height > 0 for height in heights))
        total_in = self._height_in + head_in
        self.set_size_inches(self._width_in, total_in)
        left, top_in = _SIDE_PAD_IN / self._width_in, _HEAD_PAD_IN
        for lines, height_in, size, colour, weight in (
            (title, heights[0], TITLE_PT, INK, "bold"),
            (note, heights[1], TEXT_PT, PALE, "normal"),
        ):
            if height_in:
                position = (left, 1 - top_in / total_in)
                text = self.text(*position, "\n".join(lines), va="top", fontsize=size)
                text.set(color=colour, fontweight=weight, linespacing=1.15, in_layout=False)
                top_in += height_in + 0.6 * _HEAD_PAD_IN
        if rows:
            # A legend has columns, which waste width: each row is a legend of its own.
            handles = iter([handle for handle, _ in self._key])
            for row in rows:
                legend = self.legend(
                    [next(handles) for _ in row],
                    row,
                    loc="upper left",
                    bbox_to_anchor=(left, 1 - top_in / total_in),
                    ncols=len(row),
                    borderpad=0,
                    borderaxespad=0,
                    handlelength=2.0,
                    handletextpad=0.5,
                    columnspacing=1.6,
                )
                legend.set_in_layout(False)
                top_in += 1.3 * LINE_IN
        engine = self.get_layout_engine()
        assert isinstance(engine, ConstrainedLayoutEngine)
        pad = _SIDE_PAD_IN / 2
        engine.set(w_pad=pad, h_pad=pad, wspace=0.03, rect=(0, 0, 1, 1 - head_in / total_in))
        for step in self._last_steps:
            step()

    def draw(self, renderer: RendererBase) -> None:
        """Draw the figure in the style; nothing is logged of characters that no font has."""
        with styled(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            warnings.filterwarnings("ignore", message="constrained_layout not applied")
            for text in self.findobj(Text):
                assert isinstance(text, Text)
                text.set_fontfamily(_families)
            super().draw(renderer)


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style to what is drawn with matplotlib in this context."""
    settings: Any = {**STYLE, "font.family": _families}
    with mpl.rc_context(settings):
        yield


@contextmanager
def new_plot(
    title: str, note: str = "", height_in: float = 4.0, width_in: float = WIDTH_IN
) -> Iterator[Plot]:
    """Yield a figure to draw on.

    Args:
        title: what the plot shows.
        note: what its marks mean and how many items it counts, for example of :func:`explain`.
        height_in: height of the panels with their axes.
        width_in: width of the whole, :data:`WIDTH_IN` at most.
    """
    with styled():
        plot = Plot(title, note, height_in, width_in)
        yield plot
        plot.arrange()


def explain(*parts: str) -> str:
    """Return the parts of a note as one text, empty ones left out."""
    return "; ".join(part for part in parts if part)


def interval_note(confidence: float | None = None, marks: str = "bars") -> str:
    """Return what the bars at a score mean.

    Args:
        confidence: share of the samples inside the interval; None where it is not known.
        marks: how the plot draws intervals.
    """
    level = f"{100 * confidence:g} % " if confidence else ""
    return f"{marks}: {level}bootstrap interval"


# Names on axes


_families = [FONT]
"""Fonts in the order in which a character is looked up; grows with the names that are shown."""


def shown(text: str) -> str:
    r"""Return a text for a plot: a character that no font here has, as an escape like ``\u6771``.

    If :data:`FONT` lacks a character, a font of this machine that has it is used.
    """
    text = "".join(
        character if character == "\n" or _is_drawable(character) else _escape(character)
        for character in str(text)
    )
    # matplotlib leaves labels out of legends that begin with an underscore.
    return f" {text}" if text.startswith("_") else text


def short_name(text: str, columns: int = NAME_COLUMNS, lines: int = NAME_LINES) -> str:
    """Return a name for an axis, on one line or two; the middle of a longer one is elided.

    Names of models tend to differ at their ends.
    """
    text = shown(str(text))
    wrapped = _wrap(text, columns)
    if len(wrapped) <= lines:
        return "\n".join(wrapped)
    if lines == 1:
        tail = _take_last(text, columns // 2)
        return f"{_take(text, columns - 1 - _width(tail))}…{tail}"
    return f"{_take(text, columns - 1)}…\n{_take_last(text, columns)}"


def _take(text: str, columns: int) -> str:
    while _width(text) > columns:
        text = text[:-1]
    return text


def _take_last(text: str, columns: int) -> str:
    return _take(text[::-1], columns)[::-1].lstrip()


def _wrap(text: str, columns: int) -> list[str]:
    """Return a text in lines, broken after blanks and marks such as ``/``, else anywhere."""
    lines = [""]
    for part in re.findall(r"[^\s/_.:,;=-]*[\s/_.:,;=-]+|[^\s/_.:,;=-]+", text) or [""]:
        if _width(lines[-1]) + _width(part.rstrip()) > columns and lines[-1]:
            lines.append("")
        lines[-1] += part
        while _width(lines[-1].rstrip()) > columns:
            head = _take(lines[-1], columns) or lines[-1][0]
            lines[-1:] = [head, lines[-1][len(head) :]]
    return [line.rstrip() for line in lines]


def _width(text: str) -> int:
    return sum(
        0
        if unicodedata.combining(character)
        else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


@cache
def _is_drawable(character: str) -> bool:
    if not character.isprintable():
        return False
    code = ord(character)
    for family in _families:
        if get_font(findfont(FontProperties(family=[family]))).get_char_index(code):
            return True
    for entry in sorted(fontManager.ttflist, key=lambda font: ("Sans" not in font.name, font.name)):
        is_plain = entry.style == "normal" and entry.weight in (400, "normal", "regular", "book")
        if is_plain and not entry.name.startswith(_PLACEHOLDERS):
            try:
                found = get_font(entry.fname).get_char_index(code)
            except (OSError, RuntimeError):  # a font that was removed, or that cannot be read
                continue
            if found:
                _families.append(entry.name)
                return True
    return False


# The head of a plot


def _fitting(character_pt: float, width_in: float) -> int:
    """Return the characters of a line, from the width of one."""
    return int((width_in - 2 * _SIDE_PAD_IN) * 72 / character_pt)


def _key_rows(texts: Sequence[str], room_in: float) -> list[list[str]]:
    """Return the entries of a key in rows that fit a width."""
    rows: list[list[str]] = []
    used_in = 0.0
    for text in texts:
        width_in = _KEY_HANDLE_IN + _KEY_GAP_IN + _width(text) * CHARACTER_IN
        if not rows or used_in + width_in > room_in:
            rows.append([])
            used_in = 0.0
        rows[-1].append(text)
        used_in += width_in
    return rows


# Parts of plots


def rows_height_in(names: Sequence[str], least_rows: int = 2) -> float:
    """Return the height of rows with these names (of :func:`short_name`), with an axis below."""
    rows = sum(ROW_IN + LINE_IN * name.count("\n") for name in names)
    return 0.55 + max(rows, ROW_IN * least_rows)


def name_rows(axes: Axes, names: Sequence[str]) -> list[float]:
    """Label the rows of a panel, the first on top, and return the position of each.

    Rows with names of two lines are higher.

    Args:
        axes: the panel.
        names: of :func:`short_name`.
    """
    heights = [1 + LINE_IN / ROW_IN * name.count("\n") for name in names]
    ends = np.cumsum(heights)
    positions = [float(end - height / 2) for end, height in zip(ends, heights, strict=True)]
    axes.set_yticks(positions, names)
    axes.set_ylim(max(float(ends[-1]) if heights else 1.0, 1.0) + 0.1, -0.1)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)
    if len(names) >= BANDED_ROWS:
        for end, height in list(zip(ends, heights, strict=True))[1::2]:
            axes.axhspan(end - height, end, color=BAND, linewidth=0, zorder=0)
    return positions


def score_axis(axes: Axes, label: str) -> None:
    """Make the x axis one of scores from 0 to 1."""
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks(np.arange(0, 1.01, 0.1), minor=True)
    axes.set_xticks(np.arange(0, 1.01, 0.2))
    axes.set_xlabel(label)


def draw_intervals(
    axes: Axes,
    positions: ArrayLike,
    values: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    look: Series,
    horizontal: bool = True,
) -> None:
    """Draw points with their intervals; a value that is NaN is left out.

    Args:
        axes: the panel.
        positions: along the axis of names, shape (points,).
        values: shape (points,).
        low: lower ends, shape (points,); NaN: no interval.
        high: upper ends, shape (points,).
        look: colour and marker.
        horizontal: the values lie along the x axis.
    """
    at, point, lower, upper = (
        np.asarray(numbers, dtype=float) for numbers in (positions, values, low, high)
    )
    known = ~np.isnan(point)
    at, point, lower, upper = at[known], point[known], lower[known], upper[known]
    ends = [np.nan_to_num(np.clip(gap, 0, None)) for gap in (point - lower, upper - point)]
    x, y = (point, at) if horizontal else (at, point)
    axes.errorbar(
        x,
        y,
        xerr=ends if horizontal else None,
        yerr=None if horizontal else ends,
        fmt=look.marker,
        color=look.colour,
        ecolor=look.colour,
        elinewidth=1.4,
        capsize=3,
        markeredgecolor=INK,
        zorder=3,
    )


def side_columns(
    axes: Axes, positions: Sequence[float], columns: Mapping[str, Sequence[str]], gap_pt: float = 10
) -> None:
    """Write columns of numbers to the right of a panel, in line with its rows.

    Args:
        axes: the panel.
        positions: of the rows, from :func:`name_rows`.
        columns: heading -> a text for each row.
        gap_pt: blank space before each column, in points.
    """
    right_pt = 0.0
    for heading, texts in columns.items():
        heading = shown(heading)
        longest = max(map(_width, [*heading.split("\n"), *map(str, texts)]), default=1)
        right_pt += gap_pt + longest * CHARACTER_IN * 72
        place: dict[str, Any] = {
            "xycoords": axes.get_yaxis_transform(),
            "textcoords": "offset points",
            "ha": "right",
            "annotation_clip": False,
        }
        for position, text in zip(positions, texts, strict=True):
            axes.annotate(text, (1, position), xytext=(right_pt, 0), va="center", **place)
        place["xycoords"] = "axes fraction"
        axes.annotate(heading, (1, 1), xytext=(right_pt, 2), va="bottom", color=PALE, **place)


def say(axes: Axes, text: str) -> None:
    """Show a text in place of data."""
    axes.set_axis_off()
    axes.text(0.0, 0.5, shown(text), transform=axes.transAxes, color=PALE, va="center")


def key_line(look: Series, **more: Any) -> Line2D:
    """Return a line for the key that looks like a series."""
    return Line2D([], [], **{**look.points, **more})


def log_axis(axis: Axis, low: float, high: float, most_ticks: int = 6) -> tuple[float, float]:
    """Make an axis logarithmic, with plain numbers, and return its ends.

    Args:
        axis: ``axes.xaxis`` or ``axes.yaxis``.
        low: the least value on it, above 0.
        high: the greatest value.
        most_ticks: ticks that have room.
    """
    pad = (high / low) ** 0.06 if high > low else 1.5
    ends = low / pad, high * pad
    ticks = log_ticks(*ends, most_ticks)
    is_x = isinstance(axis, XAxis)
    (axis.axes.set_xscale if is_x else axis.axes.set_yscale)("log")
    (axis.axes.set_xlim if is_x else axis.axes.set_ylim)(*ends)
    axis.set_major_locator(FixedLocator(ticks or [low]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.5g}"))
    axis.set_minor_formatter(NullFormatter())
    return ends


def log_ticks(low: float, high: float, most_ticks: int) -> list[float]:
    """Return round values between the ends of a logarithmic axis, at most a number of them."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for steps, stride in ((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 4):
        values = [step * 10.0**decade for decade in decades[::stride] for step in steps]
        ticks = [value for value in values if low <= value <= high]
        if len(ticks) <= most_ticks:
            break
    return ticks


def place_labels(axes: Axes, points: Sequence[tuple[float, float]], texts: Sequence[str]) -> None:
    """Write a text beside each point, where it covers no other text and no other point.

    Where there is no room around a point, its text is left out.

    Args:
        axes: the panel; its limits are final.
        points: in data coordinates.
        texts: one line each.
    """
    figure = axes.figure
    assert isinstance(figure, Plot)
    figure.draw_without_rendering()
    spots = axes.transData.transform(np.array(points, dtype=float).reshape(-1, 2))
    scale = figure.dpi / 72
    frame = axes.get_window_extent()
    taken = [Bbox.from_bounds(x - 4 * scale, y - 4 * scale, 8 * scale, 8 * scale) for x, y in spots]
    for (x, y), point, text in zip(spots, points, texts, strict=True):
        width, height = _width(text) * CHARACTER_IN * 72 * scale, 1.25 * TEXT_PT * scale
        for right, up in ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 2.2), (-1, 2.2), (1, -2.2)):
            dx, dy = right * 6 * scale, up * 8 * scale
            left = x + dx - (width if right < 0 else 0)
            box = Bbox.from_bounds(left, y + dy - height / 2, width, height)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0
            if inside and box.y1 <= frame.y1 and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                axes.annotate(
                    text,
                    point,
                    xytext=(dx / scale, dy / scale),
                    textcoords="offset points",
                    ha="right" if right < 0 else "left",
                    va="center",
                    zorder=5,
                    bbox={"color": "white", "alpha": 0.75, "pad": 0.5},
                ).set_in_layout(False)
                break


def number(value: float, digits: int = 2) -> str:
    """Return a score as text, a dash for NaN."""
    if pd.isna(value):
        return "–"
    return f"{round(float(value), digits) + 0.0:.{digits}f}".replace("-", "−")


# Interactive plots


def plotly_layout() -> dict[str, Any]:
    """Return the style as a layout of Plotly."""
    axis = {
        "gridcolor": RULE,
        "linecolor": PALE,
        "zerolinecolor": RULE,
        "ticks": "outside",
        "tickcolor": PALE,
        "automargin": True,
        "title": {"standoff": 12},
    }
    return {
        "colorway": list(COLOURS),
        "font": {"family": f"{FONT}, Verdana, sans-serif", "size": 13, "color": INK},
        "title": {"font": {"size": 16}, "x": 0, "xref": "paper", "automargin": True},
        "paper_bgcolor": STYLE["figure.facecolor"],
        "plot_bgcolor": STYLE["axes.facecolor"],
        "colorscale": {"sequential": SHADES, "diverging": SIGNED},
        "hoverlabel": {"font": {"size": 13}},
        "margin": {"t": 50, "r": 20, "b": 60, "l": 70},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left"},
        "xaxis": axis,
        "yaxis": axis,
    }
