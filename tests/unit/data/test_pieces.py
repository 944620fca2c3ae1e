"""Words of gold corpora become the pieces that a model reads."""

from hypothesis import given, settings
from tagged_sentences import SENTENCES

from ner_mlflow.data.pieces import cut_sentence
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.tagging.cutting import to_pieces
from ner_mlflow.tagging.iob2 import invalid_positions, to_entities


def test_words_are_cut_and_the_first_piece_of_an_entity_keeps_its_b() -> None:
    cut = cut_sentence(
        Sentence(
            ("Use", "nginx/1.25", "on", "Red", "Hat/8", "."),
            ("O", "B-SOFTWARE", "O", "B-OS", "I-OS", "O"),
            "post",
            "f:3",
        )
    )
    assert cut.tokens == ("Use", "nginx", "/", "1.25", "on", "Red", "Hat", "/", "8", ".")
    assert cut.tags == (
        *("O", "B-SOFTWARE", "I-SOFTWARE", "I-SOFTWARE", "O"),
        *("B-OS", "I-OS", "I-OS", "I-OS", "O"),
    )
    assert (cut.document, cut.origin, cut.starts) == ("post", "f:3", None)


@settings(deadline=None)
@given(SENTENCES)
def test_entities_cover_the_pieces_of_their_words(sentence: Sentence) -> None:
    cut = cut_sentence(sentence)
    _, owners = to_pieces(sentence.tokens)
    assert invalid_positions(cut.tags) == []
    assert [
        (owners[entity.start], owners[entity.end - 1] + 1, entity.type)
        for entity in to_entities(cut.tags)
    ] == [(entity.start, entity.end, entity.type) for entity in to_entities(sentence.tags)]
    covered = {owner for owner, tag in zip(owners, cut.tags, strict=True) if tag != "O"}
    assert covered == {index for index, tag in enumerate(sentence.tags) if tag != "O"}


def test_all_pieces_of_a_word_of_unknown_tag_are_unknown() -> None:
    assert cut_sentence(Sentence(("nginx/1.25", "runs"), ("?", "O"))).tags == ("?", "?", "?", "O")
