"""Perturbed sentences: tags stay with their words, and changes depend on seed and severity."""

import unicodedata
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner_mlflow.data.sample import generate_sample
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.evaluation.perturbations import PERTURBATIONS, TABLES, perturb, unseen_entities
from ner_mlflow.tagging.iob2 import invalid_positions, repair, to_entities

TAGS = ["O", "B-OS", "I-OS", "B-VERSION", "I-VERSION"]
WORDS = st.sampled_from(
    ["the", "Ubuntu", "15.3", "v2", ",", "...", "`", "a", "x", "C++", "Ä", "(", "don't", "2.0.1"]
) | st.text(min_size=1, max_size=6)
POOLS = {"OS": [("Arch", "Linux"), ("BeOS",)], "VERSION": [("9", ".", "9")]}
SAMPLE = generate_sample(13)


@st.composite
def sentences(draw: st.DrawFn) -> Sentence:
    pairs = draw(st.lists(st.tuples(WORDS, st.sampled_from(TAGS)), min_size=1, max_size=12))
    return Sentence(
        tuple(word for word, _ in pairs), tuple(repair([tag for _, tag in pairs])), "post", "file:3"
    )


def surfaces(sentence: Sentence) -> list[tuple[str, str]]:
    return [
        (" ".join(sentence.tokens[entity.start : entity.end]), entity.type)
        for entity in to_entities(sentence.tags)
    ]


@pytest.mark.parametrize("kind", PERTURBATIONS)
@given(sentences(), st.floats(0, 1), st.integers(0, 99))
def test_a_changed_sentence_is_a_sentence(
    kind: str, sentence: Sentence, rate: float, seed: int
) -> None:
    changed = perturb(sentence, kind, rate, Random(seed), POOLS)
    assert len(changed.tokens) == len(changed.tags) > 0
    assert all(changed.tokens)
    assert invalid_positions(changed.tags) == []
    assert (changed.document, changed.origin) == ("post", "file:3")
    assert perturb(sentence, kind, rate, Random(seed), POOLS) == changed
    assert perturb(sentence, kind, 0.0, Random(seed), POOLS) == sentence


@pytest.mark.parametrize(
    "kind",
    [
        "casing",
        "typos",
        "keyboard",
        "confusables",
        "versions",
        "code_fences",
        "whitespace",
        "entities",
    ],
)
@given(sentences(), st.integers(0, 99))
def test_entities_keep_their_types(kind: str, sentence: Sentence, seed: int) -> None:
    changed = perturb(sentence, kind, 1.0, Random(seed), POOLS)
    assert [type_ for _, type_ in surfaces(changed)] == [type_ for _, type_ in surfaces(sentence)]
    if kind == "code_fences":
        assert surfaces(changed) == surfaces(sentence)
    if kind == "whitespace":
        assert "".join(changed.tokens) == "".join(sentence.tokens)
        assert [text.replace(" ", "") for text, _ in surfaces(changed)] == [
            text.replace(" ", "") for text, _ in surfaces(sentence)
        ]
    if kind == "casing" and all(word.isascii() for word in sentence.tokens):
        assert [word.lower() for word in changed.tokens] == [
            word.lower() for word in sentence.tokens
        ]


def test_each_kind_makes_its_changes() -> None:
    sentence = Sentence(
        ("The", "app", ",", "Mac", "OS", "X", "15.3"),
        ("O", "O", "O", "B-OS", "I-OS", "I-OS", "B-VERSION"),
    )
    changed = {kind: perturb(sentence, kind, 1.0, Random(1), POOLS) for kind in PERTURBATIONS}
    assert changed["articles"].tokens == sentence.tokens[1:]
    assert changed["punctuation"].tokens == ("The", "app", "Mac", "OS", "X", "15.3")
    assert changed["code_fences"].tokens[-7:] == ("`", "Mac", "OS", "X", "`", "`", "15.3", "`")[-7:]
    assert surfaces(changed["entities"])[1] == ("9 . 9", "VERSION")
    assert surfaces(changed["entities"])[0][0] in ("Arch Linux", "BeOS")
    assert changed["versions"].tokens[-1] in ("v15.3", "15.3.0", "15.x")
    assert changed["versions"].tokens[:-1] == sentence.tokens[:-1]
    assert changed["confusables"].tokens != sentence.tokens
    assert {
        unicodedata.name(letter).split()[0]
        for letter in "".join(changed["confusables"].tokens)
        if not letter.isascii()
    } <= {"CYRILLIC", "GREEK"}
    assert all(
        len(now) == len(was)
        for now, was in zip(changed["keyboard"].tokens, sentence.tokens, strict=True)
    )


def test_punctuation_inside_an_entity_is_dropped_or_doubled_with_its_tag() -> None:
    sentence = Sentence((".", "NET", "4"), ("B-SOFTWARE", "I-SOFTWARE", "I-SOFTWARE"))
    forms = {
        (changed.tokens, changed.tags)
        for seed in range(60)
        if (changed := perturb(sentence, "punctuation", 0.5, Random(seed)))
    }
    assert forms == {
        ((".", "NET", "4"), ("B-SOFTWARE", "I-SOFTWARE", "I-SOFTWARE")),
        (("NET", "4"), ("B-SOFTWARE", "I-SOFTWARE")),
        ((".", ".", "NET", "4"), ("B-SOFTWARE", "I-SOFTWARE", "I-SOFTWARE", "I-SOFTWARE")),
    }


def test_an_entity_that_loses_its_first_word_begins_with_the_next() -> None:
    named = Sentence(
        ("C#", ".", "NET", "the", "Office", "."), ("B-OS", "B-OS", "I-OS", "B-OS", "I-OS", "I-OS")
    )
    without = perturb(named, "punctuation", 1.0, Random(1))
    assert surfaces(without) == [("C#", "OS"), ("NET", "OS"), ("the Office", "OS")]
    assert surfaces(perturb(named, "articles", 1.0, Random(1))) == [
        ("C#", "OS"),
        (". NET", "OS"),
        ("Office .", "OS"),
    ]


def test_words_of_any_script_are_not_punctuation() -> None:
    sentence = Sentence(("Сервер", "падает", "，", "修复", "Ä", "!"), ("O",) * 6)
    assert perturb(sentence, "punctuation", 1.0, Random(1)).tokens == (
        "Сервер",
        "падает",
        "修复",
        "Ä",
    )


def test_a_sentence_that_would_lose_all_words_is_unchanged() -> None:
    assert perturb(Sentence(("!",), ("O",)), "punctuation", 1.0, Random(1)).tokens == ("!",)


def test_replacements_are_entities_that_train_does_not_hold() -> None:
    train = [Sentence(("Ubuntu",), ("B-OS",))]
    others = [
        Sentence(("ubuntu", "or", "Arch", "Linux"), ("B-OS", "O", "B-OS", "I-OS")),
        Sentence(("Ubuntu",), ("B-SOFTWARE",)),
    ]
    assert unseen_entities(train, others) == {"OS": [("Arch", "Linux")], "SOFTWARE": [("Ubuntu",)]}


def test_the_tables_hold_single_letters() -> None:
    assert all(
        len(letter) == 1
        for letter in [*TABLES["keyboard"], *TABLES["confusables"], *TABLES["confusables"].values()]
    )
    assert all(
        rates == tuple(sorted(rates)) and rates[0] > 0 and rates[-1] <= 1
        for rates in (p.rates for p in PERTURBATIONS.values())
    )
