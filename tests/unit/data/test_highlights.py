"""Sentences as parts for pages, and the colours of types."""

import re

import pytest

from ner_mlflow.data.highlights import LINES, PALETTE, Part, printable, split_parts, type_styles
from ner_mlflow.source_code import PACKAGE


def test_a_sentence_is_split_into_entities_and_single_words() -> None:
    assert split_parts(("a", "b", "c", "d"), ("O", "B-OS", "I-OS", "O")) == [
        Part("a"),
        Part("b c", "OS"),
        Part("d"),
    ]


def test_each_type_has_a_style_and_colours_repeat_with_another_line_below() -> None:
    types = [f"TYPE{number}" for number in range(len(PALETTE) * len(LINES))]
    styles = type_styles(types)
    assert list(styles) == types
    assert len(set(styles.values())) == 40
    (light, dark), _ = PALETTE[:2]
    assert styles["TYPE0"] == f"--light: {light}; --dark: {dark}; --line: none"
    assert styles["TYPE8"] == f"--light: {light}; --dark: {dark}; --line: solid"


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("side", "scheme"), [(0, "light"), (1, "dark")])
def test_texts_can_be_read_on_every_colour(side: int, scheme: str) -> None:
    css = (PACKAGE / "templates" / "style.css").read_text(encoding="utf-8")
    inks = re.findall(r"--ink: (#\w{6})", css)
    for colours in PALETTE:
        one, other = sorted(map(luminance, (inks[side], colours[side])))
        assert (other + 0.05) / (one + 0.05) >= 4.5, (scheme, colours)


def test_characters_that_cannot_be_shown_are_escaped() -> None:
    assert printable("a\x1b[31mb\u202ec\ud800é東") == r"a\x1b[31mb\u202ec\ud800é東"
