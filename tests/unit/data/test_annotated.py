"""Sentences of a split become texts again, with entities at the offsets of the text."""

from ner_mlflow.data.annotated import annotated_texts, predicted_texts
from ner_mlflow.data.formats.base import AnnotatedText, Span
from ner_mlflow.data.sentences import Sentence


def sentence(
    text: str | None, words: str, *tags: str, origin: str = "a:1", document: str | None = "d"
) -> Sentence:
    tokens = tuple(words.split())
    starts, begin = [], 0
    for token in tokens:
        if text is not None:
            begin = text.index(token, begin)
            starts.append(begin)
            begin += len(token)
    return Sentence(
        tokens, tags or ("O",) * len(tokens), document, origin, text, tuple(starts) or None
    )


def test_sentences_of_one_text_are_joined() -> None:
    texts = list(
        annotated_texts(
            [
                sentence(" Use Redis. \n", "Use Redis .", "O", "B-SW", "O"),
                sentence("Fedora Server 7", "Fedora Server 7", "B-OS", "I-OS", "B-V"),
            ]
        )
    )
    assert texts == [
        AnnotatedText(
            " Use Redis. \nFedora Server 7",
            [Span(5, 10, "SW"), Span(13, 26, "OS"), Span(27, 28, "V")],
            "d",
            [(1, 4), (5, 10), (10, 11), (13, 19), (20, 26), (27, 28)],
            sentence_lengths=[3, 3],
        )
    ]


def test_texts_stay_apart_by_origin_document_and_end() -> None:
    split = [
        sentence("a ", "a"),
        sentence("b ", "b", origin="a:2"),
        sentence("c", "c", origin="a:2", document="e"),
        sentence("d", "d", origin="a:2", document="e"),  # repeated: no white space before it
        sentence("e", "e", origin="a:2", document="e"),
    ]
    assert [text.text for text in annotated_texts(split)] == ["a ", "b ", "c", "d", "e"]


def test_a_sentence_without_a_text_becomes_one_with_its_words_joined() -> None:
    split = [sentence(None, "Fedora Server !", "B-OS", "I-OS", "O"), sentence(None, "ok")]
    assert list(annotated_texts(split)) == [
        AnnotatedText(
            "Fedora Server!",
            [Span(0, 13, "OS")],
            "d",
            [(0, 6), (7, 13), (13, 14)],
            sentence_lengths=[3],
        ),
        AnnotatedText("ok", [], "d", [(0, 2)], sentence_lengths=[1]),
    ]


def test_predictions_keep_scores_and_ids() -> None:
    entity = {"text": "Redis", "label": "SW", "start": 0, "end": 5, "score": 0.5}
    rows = [
        {"id": 3, "body": "Redis", "entities": [entity]},
        {"body": "none", "entities": []},
    ]
    assert list(predicted_texts(rows, "body")) == [
        AnnotatedText("Redis", [Span(0, 5, "SW")], "3", scores=[0.5]),
        AnnotatedText("none", [], None, scores=[]),
    ]
