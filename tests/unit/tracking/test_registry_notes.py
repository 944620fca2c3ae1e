"""A version's description keeps its text, and each note once."""

from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.tracking.registry_notes import (
    DESCRIPTION_LIMIT,
    LEFT_OUT,
    add_note,
    split_notes,
    with_text,
)

WORDS = st.text("abc .\n", min_size=1, max_size=40).filter(str.strip)
NOTES = st.lists(
    st.builds(
        lambda minute, words: f"2026-01-02T03:{minute:02}:05+00:00: {words}",
        st.integers(0, 59),
        st.text("abc", min_size=1, max_size=30),
    ),
    unique=True,
    max_size=5,
)


@given(text=WORDS, notes=NOTES)
def test_text_and_notes_come_in_any_order_and_each_once(text: str, notes: list[str]) -> None:
    late = early = ""
    early = with_text(early, text.strip())
    for note in [*notes, *notes]:
        early, late = add_note(early, note), add_note(late, note)
    late = with_text(late, text.strip())
    assert early == late == with_text(late, "another text")
    assert split_notes(early) == (text.strip(), notes)


def test_a_description_without_notes_is_text() -> None:
    assert split_notes("a user's words\n\nand more") == ("a user's words\n\nand more", [])
    assert split_notes("") == ("", [])
    assert with_text("a user's words", "a card") == "a user's words"


def test_a_note_is_one_paragraph() -> None:
    note = "2026-01-02T03:04:05+00:00: champion, because:\n\nit is better"
    once = add_note("a card", note)
    assert once == "a card\n\n2026-01-02T03:04:05+00:00: champion, because: it is better"
    assert add_note(once, note) == once


def test_the_oldest_notes_are_left_out_of_a_long_description() -> None:
    description = "c" * 3500
    for second in range(20):
        description = add_note(description, f"2026-01-02T03:04:{second:02}+00:00: {'n' * 200}")
        assert len(description) <= DESCRIPTION_LIMIT
    text, notes = split_notes(description)
    assert text == "c" * 3500
    assert notes[0] == LEFT_OUT
    assert description.count(LEFT_OUT) == 1
    assert notes[-1].startswith("2026-01-02T03:04:19")
