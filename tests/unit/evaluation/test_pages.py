"""The pages of an evaluation: sentences with their entities, and the comparison of models."""

import re
from base64 import b64decode
from html.parser import HTMLParser

import pandas as pd
from matplotlib.figure import Figure

from ner_mlflow.data.highlights import type_styles
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.evaluation.pages import (
    Examples,
    PageSection,
    render_comparison_page,
    render_sentences_page,
)

TYPES = ["ERROR", "OS"]
SENTENCES = [
    Sentence(("on", "Windows", "10"), ("O", "B-OS", "I-OS"), None, "file:1"),
    Sentence(("Bash", "and", "Zsh"), ("B-OS", "O", "B-OS"), None, "file:2"),
]
PREDICTED = [["O", "B-OS", "O"], ["O", "O", "B-ERROR"]]


class ParagraphParser(HTMLParser):
    """The paragraphs of a page as text, entities as ``{words|type}``."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.paragraphs: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, _attrs: object) -> None:
        self.tags.add(tag)
        if tag == "p":
            self._inside = True
            self.paragraphs.append("")
        self._add({"mark": "{", "sub": "|"}.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        self._add({"mark": "}"}.get(tag, ""))
        self._inside &= tag != "p"

    def handle_data(self, data: str) -> None:
        self._add(data)

    def _add(self, text: str) -> None:
        if self._inside:
            self.paragraphs[-1] += text


def test_the_page_shows_gold_above_predicted() -> None:
    page = ParagraphParser(
        render_sentences_page("Worst", SENTENCES, PREDICTED, {"": [1, 0]}, TYPES)
    )
    assert page.paragraphs == [
        "{ERROR} {OS}",
        "gold {Bash|OS} and {Zsh|OS}",
        "predicted Bash and {Zsh|ERROR}",
        "gold on {Windows 10|OS}",
        "predicted on {Windows|OS} 10",
    ]
    assert "h2" not in page.tags


def test_sentences_are_below_their_headings() -> None:
    page = render_sentences_page("Errors", SENTENCES, PREDICTED, {"OS & co": [0], "X": [1]}, TYPES)
    first, second = (page.index(f">{name}</h2>") for name in ("OS &amp; co", "X"))
    assert first < page.index("file:1") < second < page.index("file:2")


def test_texts_that_look_like_html_are_escaped() -> None:
    script = "<script>alert('&')</script>"
    sentence = Sentence((script, script, "&amp;"), (f"B-{script}", "O", "O"), None, script)
    page = render_sentences_page(
        script, [sentence], [["O", "O", f"B-{script}"]], {script: [0]}, [script]
    )
    parser = ParagraphParser(page)
    assert "<script" not in page
    assert "script" not in parser.tags
    assert parser.paragraphs[1:] == [
        f"gold {{{script}|{script}}} {script} &amp;",
        f"predicted {script} {script} {{&amp;|{script}}}",
    ]


def test_a_page_without_sentences_states_that_there_are_no_errors() -> None:
    page = render_sentences_page("Worst", SENTENCES, PREDICTED, {}, TYPES)
    assert ParagraphParser(page).paragraphs[1:] == ["No errors."]


def test_each_type_has_its_colour_and_unknown_types_are_grey() -> None:
    sentence = Sentence(("a", "b", "c"), ("B-OS", "B-ERROR", "B-Other"))
    page = render_sentences_page("Worst", [sentence], [["O"] * 3], {"": [0]}, TYPES)
    colours = re.findall(r'<mark style="(.+?)">', page)
    error, os = type_styles(TYPES).values()
    assert colours[:4] == [error, os, os, error]
    assert colours[4] not in (error, os)


def test_a_comparison_shows_headings_tables_and_embedded_figures() -> None:
    figure = Figure()
    figure.subplots().bar([0, 1], [1, 2])
    table = pd.DataFrame({"model": ["<b>", "c"], "f1": [0.5, float("nan")]})
    page = render_comparison_page(
        "a < b",
        "c < d",
        [
            PageSection("results", "Results", "p <= 0.05", table, None),
            PageSection("intervals", "", "", None, figure),
        ],
        ("OS",),
        Examples("Worst", [Sentence(("<i>",), ("B-OS",), origin="a:1")], [["O"]]),
    )
    assert "<h1>a &lt; b</h1>" in page
    assert re.findall("<h2>(.*?)</h2>", page) == ["Results", "Worst"]
    assert '<p class="lead">c &lt; d</p>' in page
    assert "&lt;i&gt;<sub>OS</sub>" in page
    assert '<p class="note">p &lt;= 0.05</p>' in page
    assert re.findall("<td.*?>(.*?)</td>", page) == ["&lt;b&gt;", "0.5", "c", ""]
    ((name, png),) = re.findall('<img alt="(.*?)" src="data:image/png;base64,(.*?)">', page)
    assert name == "intervals"
    assert b64decode(png).startswith(b"\x89PNG")
    assert page.index("<table") < page.index("<img")
