"""Render HTML pages from the templates in ``templates/``, and tables as HTML and Markdown."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
import numpy as np
import pandas as pd

LAYOUT = ("base.html", "macros.html", "style.css")
"""Templates that other templates extend, import or include.

A cache key covers the templates that a module names (:mod:`~ner_mlflow.source_code`). A module that
renders a page names the page's template; the shared ones are named here, where every such module
imports from.
"""
TRANSPOSE_ABOVE = 16
"""Columns. A wider table with no more rows than this is shown transposed."""
COLUMN_SPACE = "&emsp;"
SEPARATED_FROM = 1_000_000
"""Least number whose thousands are separated by commas; smaller ones may be ids or years."""

_MARKUP = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"&", "&amp;"),
        (r"<", "&lt;"),
        (r">", "&gt;"),
        (r"[\\`*\[\]|~#!]", r"\\\g<0>"),
        (r"(?<![^\W_])_|_(?![^\W_])", r"\_"),
        (r"://", "&#58;//"),  # an address becomes a link without any mark around it
        (r"(?i)\bwww\.", "www&#46;"),
        (r"(?<!\w)@|@(?=[\w-]+\.)", "&#64;"),
        (r"\$", "&#36;"),  # a formula on GitHub
    )
)
"""What Markdown would not show as it is, and how it is written so that it does."""


@dataclass(frozen=True)
class Grid:
    """A table as the macro ``grid`` draws it: cells as text, columns of numbers aligned right.

    The rows of a transposed table begin with a header.
    """

    columns: list[str]
    numeric: list[bool]
    rows: list[list[str]]
    transposed: bool


def render_page(template: str, **values: Any) -> str:
    """Return an HTML page; all values are escaped.

    Args:
        template: the name of a file in ``templates/``, written out in the calling module, whose
            cache key then covers the template.
        values: what the template shows. Each page has a ``title``.

    Raises:
        jinja2.UndefinedError: a value that the template uses is missing.
    """
    return _environment().get_template(template).render(values)


def render_table_page(title: str, table: pd.DataFrame, note: str = "") -> str:
    """Return an HTML page that shows one table under its title and a note."""
    return render_page("table.html", title=title, note=note, table=table_grid(table))


def table_grid(table: pd.DataFrame) -> Grid:
    """Return a table's cells as text, the index left out.

    The numbers of a column have equally many decimals. A table of many columns and few rows is
    transposed, so that it fits the page.
    """
    names = [str(name) for name in table.columns]
    columns = [table.iloc[:, position].tolist() for position in range(len(names))]
    shown = [_format_column(column) for column in columns]
    transposed = len(names) > TRANSPOSE_ABOVE >= len(table)
    if transposed:
        names, shown, columns = (
            [names[0], *shown[0]],
            [names[1:], *([column[row] for column in shown[1:]] for row in range(len(table)))],
            [names[1:], *([column[row] for column in columns[1:]] for row in range(len(table)))],
        )
    return Grid(
        names,
        [all(_is_number(value) or _is_missing(value) for value in column) for column in columns],
        [list(row) for row in zip(*shown, strict=True)],
        transposed,
    )


def markdown_table(table: pd.DataFrame) -> str:
    """Return a table in Markdown, the index left out, floats with three significant digits.

    A missing value is an empty cell; names and texts are escaped.
    """
    rows = [
        [escape_markdown(str(column)) for column in table.columns],
        ["---"] * len(table.columns),
        *([_markdown_cell(value) for value in row] for row in table.astype(object).to_numpy()),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def spaced_tables(markdown: str) -> str:
    """Return Markdown with space between the columns of its tables, which MLflow's UI lacks."""
    return "\n".join(
        line.replace(" | ", f"{COLUMN_SPACE} | ")
        if line.startswith("| ") and not line.startswith("| ---")
        else line
        for line in markdown.split("\n")
    )


def escape_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line: no markup, no HTML and no link.

    An underscore within a word stays, because Markdown shows it.
    """
    text = " ".join(text.split())
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return text


def _markdown_cell(value: Any) -> str:
    if _is_missing(value):
        return ""
    return f"{value:.3g}" if isinstance(value, float) else escape_markdown(str(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _is_missing(value: Any) -> bool:
    missing = value is None or value is pd.NA or value is pd.NaT
    return missing or (isinstance(value, float) and math.isnan(value))


def _format_column(values: Sequence[Any]) -> list[str]:
    """Return the values of a column as texts: four significant digits of the largest float."""
    floats = [float(value) for value in values if _is_float(value) and math.isfinite(value)]
    largest = max(map(abs, floats), default=0.0)
    decimals = 4 if largest <= 1 else max(0, 3 - math.floor(math.log10(largest)))
    while decimals and all(f"{value:.{decimals}f}".endswith("0") for value in floats):
        decimals -= 1
    return [_format(value, decimals) for value in values]


def _format(value: Any, decimals: int) -> str:
    if _is_missing(value):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    separator = "," if _is_number(value) and abs(value) >= SEPARATED_FROM else ""
    if isinstance(value, (int, np.integer)):
        return f"{value:{separator}}"
    if not _is_float(value):
        return str(value)
    if value and abs(value) < 10.0 ** (1 - decimals):  # too small for these decimals
        return f"{value:.2g}"
    return f"{value:{separator}.{decimals}f}"


def _is_float(value: Any) -> bool:
    return isinstance(value, (float, np.floating)) and not math.isnan(value)


@cache
def _environment() -> jinja2.Environment:
    # The loader's folder is `templates` by default. Written out here, it would put every template
    # into the cache key of every module that renders a page.
    return jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
