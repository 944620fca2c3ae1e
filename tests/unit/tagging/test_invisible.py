"""Hidden characters go before a text is tokenised; those that shape letters and emoji stay."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.tagging.invisible import WITHOUT_GLYPH, visible


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\u200bRe\u200bdis\u200b", "Redis"),
        ("Post\u00adgres", "Postgres"),
        ("\ufeffRedis\u2060", "Redis"),
        ("\u202bRedis\u202c\u200e \u2066x\u2069", "Redis x"),
        ("Re\u200cdi\u200ds", "Redis"),
        ("Redis\ufe0f", "Redis"),
        ("Redis\U000e0052\U000e0065", "Redis"),
        ("\u180eRedis\u3164", "Redis"),
    ],
)
def test_hidden_characters_are_taken_out(text: str, seen: str) -> None:
    assert visible(text) == seen


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("می\u200cخواهم", id="Persian non-joiner"),
        pytest.param("क्\u200dष", id="Devanagari joiner"),
        pytest.param("ന്\u200d", id="Malayalam chillu"),
        pytest.param("ស្រ\u200c៊ី", id="Khmer non-joiner before a sign"),
        pytest.param("👩\u200d💻❤\ufe0f\u200d🔥", id="emoji"),
        pytest.param("1\ufe0f\u20e3", id="keycap"),
        pytest.param("🏴\U000e0067\U000e0062\U000e007f", id="flag of tags"),
        pytest.param("葛\U000e0100城", id="variant of a Han character"),
        pytest.param("Größe e\u0301 नमस्ते 使用", id="ordinary letters and marks"),
    ],
)
def test_characters_that_shape_their_neighbours_stay(text: str) -> None:
    assert visible(text) == text


@given(st.text(st.characters()))
def test_only_characters_without_a_glyph_are_taken_out(text: str) -> None:
    without_glyph = re.compile(f"[{WITHOUT_GLYPH}]")
    assert without_glyph.sub("", visible(text)) == without_glyph.sub("", text)
