"""Noise: valid tags over served pieces, the same for a seed, and only types of the dataset."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ner_mlflow.data.sample import generate_sample
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.modeling.noise import noise_table, noisy_sentences, to_sentence
from ner_mlflow.tagging.cutting import cut
from ner_mlflow.tagging.iob2 import invalid_positions, to_entities

TRAIN = list(generate_sample(13)["train"][:300])
TYPES = ("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION")
NEWS = [
    Sentence(("Berlin", "is", "large", "."), ("B-LOC", "O", "O", "O")),
    Sentence(("He", "met", "Ada", "Lovelace"), ("O", "O", "B-PER", "I-PER")),
]


def entities_of(sentence: Sentence) -> list[tuple[str, str]]:
    return [
        (" ".join(sentence.tokens[entity.start : entity.end]), entity.type)
        for entity in to_entities(sentence.tags)
    ]


def test_noise_is_tagged_in_valid_iob2_over_pieces() -> None:
    sentences = noisy_sentences(TRAIN, TYPES, 2.0, 13)
    assert len(sentences) == 2 * len(TRAIN)
    for sentence in sentences:
        assert len(sentence.tokens) == len(sentence.tags)
        assert not invalid_positions(sentence.tags)
        assert all(not any(map(str.isspace, piece)) for piece in sentence.tokens)


def test_a_seed_decides_the_noise() -> None:
    first, again, other = (noisy_sentences(TRAIN, TYPES, 0.5, seed) for seed in (13, 13, 14))
    assert first == again
    assert first != other


def test_no_share_is_no_noise() -> None:
    assert noisy_sentences(TRAIN, TYPES, 0.0, 13) == []


def test_other_types_get_edits_and_no_template_of_ours() -> None:
    sentences = noisy_sentences(NEWS, ("LOC", "PER"), 200.0, 13)
    types = {type_ for sentence in sentences for _, type_ in entities_of(sentence)}
    assert types == {"LOC", "PER"}
    marked = [sentence for sentence in sentences if "**" in sentence.tokens]
    assert marked
    assert all("**" not in surface for s in sentences for surface, _ in entities_of(s))


def test_markup_and_joints_belong_to_no_entity() -> None:
    segments = [("**", ""), ("nginx", "SOFTWARE"), ("/", ""), ("1.25", "VERSION"), ("**,", "")]
    sentence = to_sentence(segments)
    assert sentence.tokens == ("**", "nginx", "/", "1.25", "**", ",")
    assert sentence.tags == ("O", "B-SOFTWARE", "O", "B-VERSION", "O", "O")


def test_a_word_is_cut_where_an_entity_ends_inside_it() -> None:
    sentence = to_sentence([("Windows", "OS"), ("like", ""), (" ", ""), ("Mac OS X", "OS")])
    assert entities_of(sentence) == [("Windows", "OS"), ("Mac OS X", "OS")]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.text("aB1. /-\u200b", max_size=5).filter(
                # A chunk of hidden characters alone is a piece.
                lambda text: "\u200b" not in text or text.replace("\u200b", "").strip()
            ),
            st.sampled_from(["", "", "OS", "VERSION"]),
        ),
        max_size=8,
    )
)
def test_segments_keep_their_entities(segments: list[tuple[str, str]]) -> None:
    sentence = to_sentence(segments)
    assert not invalid_positions(sentence.tags)
    visible = "".join("".join(text for text, _ in segments).replace("\u200b", "").split())
    assert "".join(sentence.tokens).replace("\u200b", "") == visible
    expected = [
        ("".join(text.replace("\u200b", "").split()), type_)
        for text, type_ in segments
        if type_ and text.replace("\u200b", "").strip()
    ]
    found = [
        (surface.replace("\u200b", "").replace(" ", ""), type_)
        for surface, type_ in entities_of(sentence)
    ]
    assert found == expected


@pytest.mark.parametrize("template", noise_table()["templates"])
def test_every_template_gives_a_sentence(template: str) -> None:
    assert template.count("{") == template.count("}")
    assert template.count("(") == template.count(")")


def test_the_pieces_of_templates_are_those_of_running_text() -> None:
    for sentence in noisy_sentences(TRAIN, TYPES, 1.0, 13):
        for piece in sentence.tokens:
            assert "".join(piece[start:end] for start, end in cut(piece)) == piece
