"""Sentences as parts for pages, and the colours of types."""

from ner_mlflow.data.highlights import PALETTE, Part, printable, split_parts, type_colours


def test_a_sentence_is_split_into_entities_and_single_words() -> None:
    assert split_parts(("a", "b", "c", "d"), ("O", "B-OS", "I-OS", "O")) == [
        Part("a"),
        Part("b c", "OS"),
        Part("d"),
    ]


def test_each_type_has_a_colour_and_colours_repeat_after_the_last() -> None:
    types = [f"TYPE{number}" for number in range(len(PALETTE) + 1)]
    colours = type_colours(types)
    assert list(colours) == types
    assert [*colours.values()] == [*PALETTE, PALETTE[0]]


def test_characters_that_cannot_be_shown_are_escaped() -> None:
    assert printable("a\x1b[31mb\u202ec\ud800é東") == r"a\x1b[31mb\u202ec\ud800é東"
