"""Pages: escaping, tables, and the templates that cache keys cover."""

import re
from html.parser import HTMLParser

import numpy as np
import page_kinds
import pandas as pd
import pytest
from jinja2 import Environment, FileSystemLoader, UndefinedError, meta

from ner_mlflow import pages
from ner_mlflow.pages import (
    TRANSPOSE_ABOVE,
    escape_markdown,
    markdown_table,
    render_page,
    render_table_page,
    spaced_tables,
    table_grid,
)
from ner_mlflow.source_code import PACKAGE, import_closure

TEMPLATES = PACKAGE / "templates"
SCRIPT = "<script>alert('&')</script>"


class TableParser(HTMLParser):
    """The rows of a page's tables, a list of (tag, class, text) for each row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[tuple[str, str, str]]] = []
        self.tags: list[str] = []
        self._cell: tuple[str, str] | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = (tag, dict(attrs).get("class") or "")
            self.rows[-1].append((*self._cell, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell:
            *_, (tag, class_, text) = self.rows[-1]
            self.rows[-1][-1] = (tag, class_, text + data)


def test_a_table_page_shows_names_values_and_gaps() -> None:
    table = pd.DataFrame(
        {"model": ["a", None], "f1": [0.123456, np.nan], "words": [12, 7], "best": [True, False]}
    )
    parser = TableParser(render_table_page("results", table))
    assert parser.rows == [
        [
            ("th", "", "model"),
            ("th", "number", "f1"),
            ("th", "number", "words"),
            ("th", "", "best"),
        ],
        [("td", "", "a"), ("td", "number", "0.1235"), ("td", "number", "12"), ("td", "", "yes")],
        [("td", "", ""), ("td", "number", ""), ("td", "number", "7"), ("td", "", "no")],
    ]


def test_a_page_is_a_whole_document_with_its_title() -> None:
    page = render_table_page("results", pd.DataFrame({"a": [1]}))
    assert page.startswith("<!doctype html>")
    assert re.findall("<(?:title|h1)>(.*?)</", page) == ["results", "results"]
    assert '<meta charset="utf-8">' in page
    assert re.findall("<(header|main)>", page) == ["header", "main"]
    assert "prefers-color-scheme: dark" in page
    assert page.rstrip().endswith("</html>")


def test_texts_from_data_are_escaped_everywhere() -> None:
    page = render_table_page(SCRIPT, pd.DataFrame({SCRIPT: [SCRIPT]}))
    parser = TableParser(page)
    assert "<script" not in page
    assert parser.rows == [[("th", "", SCRIPT)], [("td", "", SCRIPT)]]


def test_long_texts_and_large_numbers_are_shown_in_full() -> None:
    grid = table_grid(pd.DataFrame({"text": ["word " * 50], "bytes": [23456789.0], "id": [123456]}))
    assert grid.rows == [["word " * 50, "23,456,789", "123456"]]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.8206, 0.288, 0.0], ["0.8206", "0.2880", "0.0000"]),
        ([0.2, 1.0], ["0.2", "1.0"]),
        ([14.0, 13.0], ["14", "13"]),
        ([24.01, 91.6], ["24.01", "91.60"]),
        ([9.999e-05], ["0.0001"]),
        ([1.496, 5.2e-06], ["1.496", "5.2e-06"]),
        ([-0.0021, 402.7], ["-0.0021", "402.7"]),
        ([float("inf"), 1.5], ["inf", "1.5"]),
    ],
)
def test_the_numbers_of_a_column_have_equally_many_decimals(
    values: list[float], texts: list[str]
) -> None:
    assert [row[0] for row in table_grid(pd.DataFrame({"a": values})).rows] == texts


def test_a_table_of_many_columns_and_few_rows_is_transposed() -> None:
    wide = pd.DataFrame(
        {"model": ["a", "b"], **{f"c{i}": [i, i / 3] for i in range(TRANSPOSE_ABOVE)}}
    )
    parser = TableParser(render_table_page("wide", wide))
    assert parser.rows[0] == [("th", "", "model"), ("th", "number", "a"), ("th", "number", "b")]
    assert len(parser.rows) == 1 + TRANSPOSE_ABOVE
    assert parser.rows[2] == [
        ("th", "", "c1"),
        ("td", "number", "1.0000"),
        ("td", "number", "0.3333"),
    ]
    narrow = wide.drop(columns="c0")
    assert table_grid(narrow).columns == list(narrow.columns)


def test_the_id_of_a_run_may_break_so_that_the_table_fits_the_page() -> None:
    table = pd.DataFrame({"trial": [1], "reason": ["no " * 20], "run": ["0f" * 16]})
    page = render_table_page("trials", table)
    assert f'<td class="id">{"0f" * 16}</td>' in page
    assert page.count('class="id"') == 1


def test_a_table_without_rows_shows_its_columns() -> None:
    assert TableParser(render_table_page("none", pd.DataFrame(columns=["a", "b"]))).rows == [
        [("th", "number", "a"), ("th", "number", "b")]
    ]


def test_a_study_page_embeds_plots_and_escapes_the_name() -> None:
    plot = {"heading": SCRIPT, "note": SCRIPT, "html": "<div id='plot'></div>"}
    page = render_page("study.html", title=SCRIPT, lead=SCRIPT, plots=[plot])
    assert "<div id='plot'></div>" in page
    assert "<script" not in page
    assert "Too few trials" in render_page("study.html", title="study", lead="", plots=[])


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="plots"):
        render_page("study.html", title="study", lead="")


class ElementParser(HTMLParser):
    """The elements and attributes of a page that a hostile name would add."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "script" or (tag == "img" and not (values["src"] or "").startswith("data:")):
            self.found.append(tag)
        self.found += [name for name in values if name.startswith("on")]
        self.found += [value for value in values.values() if value and value.startswith("javasc")]


def test_no_name_becomes_an_element_of_any_kind_of_page() -> None:
    for name, page in page_kinds.pages(page_kinds.HOSTILE).items():
        found = ElementParser(page).found
        # The page of a study holds Plotly's scripts; a browser checks it (test_accessibility).
        assert {part for part in found if part != "script" or name != "study"} == set(), name


def test_a_markdown_table_has_a_cell_for_each_value_and_none_for_a_missing_one() -> None:
    table = pd.DataFrame({"a|b": ["x|y", None], "f1": [0.12345, float("nan")], "n": [3, 4]})
    assert markdown_table(table).splitlines() == [
        "| a\\|b | f1 | n |",
        "| --- | --- | --- |",
        "| x\\|y | 0.123 | 3 |",
        "|  |  | 4 |",
    ]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<img src=x onerror=y>", "&lt;img src=x onerror=y&gt;"),
        ("[x](javascript:y)", "\\[x\\](javascript:y)"),
        ("**bold** _it_ `code` ~~s~~", "\\*\\*bold\\*\\* \\_it\\_ \\`code\\` \\~\\~s\\~\\~"),
        ("minilm_full seed 13, p = 0.05", "minilm_full seed 13, p = 0.05"),
        ("models:/it-ner@champion", "models:/it-ner@champion"),
        ("https://a.b www.c.d", "https&#58;//a.b www&#46;c.d"),
        ("@someone a@b.c", "&#64;someone a&#64;b.c"),
        ("a\\|b & c", "a\\\\\\|b &amp; c"),
        ("two\n\n# lines", "two \\# lines"),
        ("$x$", "&#36;x&#36;"),
    ],
)
def test_markdown_shows_a_text_as_it_is(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


@pytest.mark.parametrize("template", sorted(path.name for path in TEMPLATES.glob("*.html")))
def test_every_template_that_another_one_uses_is_in_the_cache_keys_of_pages(template: str) -> None:
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True)
    source, _, _ = loader.get_source(environment, template)
    used = set(meta.find_referenced_templates(environment.parse(source)))
    assert used <= set(pages.LAYOUT)


def test_a_modules_cache_key_covers_its_templates_and_no_others() -> None:
    def templates(module: str) -> set[str]:
        return {path.name for path in import_closure(module) if path.parent == TEMPLATES}

    shared = {*pages.LAYOUT, "table.html"}
    assert templates("pages.py") == shared
    assert templates("evaluation/pages.py") == {*shared, "comparison.html", "sentences.html"}
    assert templates("sweeping/report.py") == {*shared, "study.html"}
    assert templates("evaluation/scores.py") == set()


def test_the_columns_of_a_markdown_table_are_set_apart() -> None:
    table = markdown_table(pd.DataFrame({"a|b": ["x | y"], "f1": [0.5]}))
    assert spaced_tables(f"On a | b:\n\n{table}").splitlines() == [
        "On a | b:",
        "",
        "| a\\|b&emsp; | f1 |",
        "| --- | --- |",
        "| x \\| y&emsp; | 0.5 |",
    ]


def test_a_note_stands_above_a_table() -> None:
    page = render_table_page("Scores", pd.DataFrame({"f1": [0.5]}), "strict & fair")
    assert '<p class="note">strict &amp; fair</p>' in page
