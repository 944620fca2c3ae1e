"""Everything that is shown is escaped, and only escaped markup can be shown."""

import pytest

from ner_mlflow.data.highlights import split_parts
from ner_mlflow.demo import markup
from ner_mlflow.tagging.iob2 import Entity

EVIL = '<b onclick="x">&'
HUES = {EVIL: "red"}


def test_only_markup_that_was_built_here_is_shown() -> None:
    with pytest.raises(TypeError, match="escaped"):
        markup.show("<b>bold</b>")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "built",
    [
        markup.fill("<i>{text}</i>", text=EVIL),
        markup.join([EVIL, EVIL], " "),
        markup.sentence(split_parts([EVIL], [f"B-{EVIL}"]), HUES),
        markup.running_text(f"{EVIL} x", [Entity(0, len(EVIL), EVIL)], HUES, [EVIL]),
        markup.legend([EVIL], HUES),
        markup.table([EVIL], [[EVIL]]),
        markup.tile(EVIL, EVIL, EVIL),
        markup.heading(EVIL, EVIL, EVIL),
        markup.section(EVIL, EVIL),
        markup.chip(EVIL),
        markup.bold(EVIL),
        markup.commands([EVIL]),
    ],
)
def test_values_are_escaped(built: str) -> None:
    assert "&lt;b onclick=&#34;x&#34;&gt;&amp;" in built
    assert "<b " not in built


def test_markdown_and_charts_show_the_very_text() -> None:
    assert markup.plain("a *b* [c](d)\n$e$") == r"a \*b\* \[c\]\(d\) \$e\$"
    assert markup.label("<b>" + "x" * 80, limit=10) == "&lt;b&gt;xxxxxx…"


def test_entities_of_a_running_text_stand_at_their_characters() -> None:
    shown = markup.running_text("🚀 on\tUbuntu\n22", [Entity(5, 11, "OS")], {"OS": "red"}, ["0.9"])
    assert '--hue:red" title="0.9">Ubuntu<sub>OS</sub></mark>\n22' in shown
    assert "🚀 on    <mark" in shown


def test_a_type_has_one_colour_whatever_the_order_of_the_types() -> None:
    assert markup.type_hues(["b", "a"]) == markup.type_hues(["a", "b", "a"])
