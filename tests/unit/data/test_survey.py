"""A survey counts a split in one pass, and the sentences to show hold every type."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.data.sentences import SPLITS, TEST, TRAIN, VALIDATION, Sentence
from ner_mlflow.data.survey import LONG_SENTENCE, SHOWN_SENTENCES, Survey, choose_sentences

SENTENCES = [
    Sentence(("on", "Windows", "10"), ("O", "B-OS", "I-OS"), "post 1", "file:1"),
    Sentence(("Bash", "and", "bash"), ("B-APP", "O", "B-APP"), "post 1", "file:2"),
    Sentence(("bash", "again"), ("B-APP", "O"), None, "file:3"),
]

TYPES = st.sampled_from([f"T{number}" for number in range(30)])
CORPORA = st.dictionaries(
    st.sampled_from(SPLITS),
    st.lists(
        st.lists(st.none() | TYPES, min_size=1, max_size=5).map(
            lambda types: Sentence(
                tuple(f"w{number}" for number in range(len(types))),
                tuple(f"B-{type_}" if type_ else "O" for type_ in types),
            )
        ),
        min_size=1,
        max_size=40,
    ),
    min_size=1,
)


def numbered(count: int, tag: str) -> list[Sentence]:
    return [Sentence((f"w{number}",), (tag,), None, f"{tag}:{number}") for number in range(count)]


def shown_types(corpus: dict[str, list[Sentence]], seed: int = 1) -> Counter[str | None]:
    surveys = {split: Survey(sentences, seed) for split, sentences in corpus.items()}
    shown = choose_sentences(corpus, surveys, seed)
    return Counter(part.type for sentence in shown for part in sentence.parts)


def test_a_survey_counts_sentences_words_entities_and_documents() -> None:
    survey = Survey(SENTENCES, 1)
    assert (survey.sentences, survey.words, survey.documents) == (3, 8, 1)
    assert survey.types == {"OS": 1, "APP": 3}


def test_examples_are_the_most_frequent_texts_as_the_source_spells_them() -> None:
    text = "Visual  Studio crashed."
    sentence = Sentence(
        ("Visual", "Studio", "crashed", "."),
        ("B-APP", "I-APP", "O", "O"),
        text=text,
        starts=(0, 8, 15, 22),
    )
    survey = Survey([*SENTENCES, sentence], 1)
    assert survey.examples("APP") == ("bash", "Bash", "Visual  Studio")
    assert survey.examples("OS") == ("Windows 10",)
    assert survey.examples("NONE") == ()


def test_a_long_sentence_is_shown_only_where_no_other_holds_a_type() -> None:
    long = Sentence(("w",) * (LONG_SENTENCE + 1), ("B-OS",) + ("O",) * LONG_SENTENCE)
    assert Survey([SENTENCES[0], long], 1).candidates["OS"] == [0]
    assert Survey([long], 1).candidates["OS"] == [0]


def test_each_split_shows_its_share_and_train_stands_in_for_missing_splits() -> None:
    corpus = {split: numbered(50, "B-OS") for split in (TRAIN, VALIDATION, TEST)}
    surveys = {split: Survey(sentences, 1) for split, sentences in corpus.items()}
    shown = Counter(sentence.split for sentence in choose_sentences(corpus, surveys, 1))
    assert shown == SHOWN_SENTENCES
    del corpus[TEST], surveys[TEST]
    shown = Counter(sentence.split for sentence in choose_sentences(corpus, surveys, 1))
    assert shown == {TRAIN: 15, VALIDATION: 5}


def test_a_rare_type_at_the_end_of_a_corpus_is_shown() -> None:
    corpus = {TRAIN: [*numbered(5000, "B-OS"), *numbered(1, "B-RARE")]}
    assert shown_types(corpus)["RARE"] == 1


@given(CORPORA, st.integers(0, 3))
def test_every_type_is_shown_and_no_sentence_twice(
    corpus: dict[str, list[Sentence]], seed: int
) -> None:
    surveys = {split: Survey(sentences, seed) for split, sentences in corpus.items()}
    shown = choose_sentences(corpus, surveys, seed)
    assert shown == choose_sentences(corpus, surveys, seed)
    assert {part.type for sentence in shown for part in sentence.parts if part.type} == {
        type_ for survey in surveys.values() for type_ in survey.types
    }
    total = sum(map(len, corpus.values()))
    assert len(shown) >= min(total, *SHOWN_SENTENCES.values())
    assert len(shown) <= total


def test_another_seed_shows_other_sentences() -> None:
    corpus = {TRAIN: numbered(1000, "B-OS")}
    surveys = {TRAIN: Survey(corpus[TRAIN], 1)}
    others = {TRAIN: Survey(corpus[TRAIN], 2)}
    assert choose_sentences(corpus, surveys, 1) != choose_sentences(corpus, others, 2)
