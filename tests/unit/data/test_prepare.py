"""Preparation: changes are counted, validation and test stay as they are, only train grows."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.prepare import Preparation, oversample, prepare
from ner_mlflow.data.sentences import SPLITS, TEST, TRAIN, VALIDATION, Corpus, Sentence
from ner_mlflow.errors import DataError
from ner_mlflow.tagging.iob2 import Entity, invalid_positions, repair, to_entities

OTHERS = {VALIDATION: "unseen/B-OS", TEST: "fresh/B-OS"}


def settings_of(**values: object) -> DataConfig:
    return load_config(
        overrides={
            "data.label_map": "keep",
            **{f"data.{key}": value for key, value in values.items()},
        }
    ).data


def sentence(text: str, document: str | None = None, origin: str = "") -> Sentence:
    """Return the sentence of a text such as ``Windows/B-OS crashed``; others are outside."""
    words = [word.partition("/") for word in text.split()]
    return Sentence(
        tuple(word for word, _, _ in words),
        tuple(tag or "O" for _, _, tag in words),
        document,
        origin,
    )


def corpus(*train: str, **others: list[str]) -> Corpus:
    splits = {TRAIN: list(train), **{split: [text] for split, text in OTHERS.items()}, **others}
    return {
        split: [sentence(text, origin=f"{split}:{row}") for row, text in enumerate(texts)]
        for split, texts in splits.items()
    }


def numbered(count: int, tag: str = "B-OS", **fields: str) -> list[Sentence]:
    return [Sentence((f"w{index}",), (tag,), **fields) for index in range(count)]


def counts_of(prepared: Preparation) -> dict[str, float]:
    return prepared.findings.metrics()


# Labels


def test_types_go_by_the_table() -> None:
    source = corpus(
        "Debian/B-Operating_System runs/O Bash/B-Application ls/B-Code_Block",
        validation=["x"],
        test=["y"],
    )
    prepared = prepare(source, settings_of(label_map="it5"))
    assert prepared.corpus[TRAIN][0].tags == ("B-OS", "O", "B-SOFTWARE", "O")
    assert prepared.schema.types == ("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION")


def test_keep_makes_the_schema_of_the_types_of_all_splits() -> None:
    assert prepare(corpus("a/B-OS", test=["b/B-VERSION"]), settings_of()).schema.types == (
        "OS",
        "VERSION",
    )


def test_adjacent_entities_stay_apart() -> None:
    prepared = prepare(
        corpus("Bash/B-Application Python/B-Language 3/I-Language"),
        settings_of(label_map="it5", unknown_tags="outside"),
    )
    assert prepared.corpus[TRAIN][0].tags == ("B-SOFTWARE", "B-SOFTWARE", "I-SOFTWARE")
    assert to_entities(prepared.corpus[TRAIN][0].tags) == [
        Entity(0, 1, "SOFTWARE"),
        Entity(1, 3, "SOFTWARE"),
    ]


def test_unknown_tags_are_listed_with_their_positions() -> None:
    train = [
        "Debian/B-OS x/B-Gadget",
        "y/B-Gadget z/I-Gadget",
        *(f"v{row}/B-Thing" for row in range(7)),
    ]
    with pytest.raises(DataError) as caught:
        prepare(corpus(*train), settings_of(label_map="it5"))
    message = str(caught.value)
    assert "B-Gadget (2 times: train:0 word 1 'x', train:1 word 0 'y'); " in message
    assert "B-Thing (7 times: train:2 word 0 'v0', " in message
    assert "I-Gadget (1 times: train:1 word 1 'z')" in message
    assert "train:6 word 0 'v4' and 2 more)" in message
    assert "unknown_tags=outside" in message
    assert "\n" not in message
    assert "B-OS" not in message


def test_unknown_tags_may_become_outside_and_are_counted() -> None:
    source = corpus("Debian/B-OS x/B-Gadget y/I-Gadget", test=["x/B-Gadget"])
    prepared = prepare(source, settings_of(label_map="it5", unknown_tags="outside"))
    assert prepared.corpus[TRAIN][0].tags == ("B-OS", "O", "O")
    assert counts_of(prepared) == {
        "train/unknown_tags": 2,
        "test/unknown_tags": 1,
    }
    assert str(next(iter(prepared.findings))) == (
        "test: tags that have a type that the label map lacks and became O: 1 "
        "(test:0 word 0 'x' B-Gadget)"
    )


def test_a_table_of_the_user_is_followed(tmp_path: Path) -> None:
    table = tmp_path / "table.yaml"
    table.write_text("OS: SYSTEM\nNoise: O\n", encoding="utf-8")
    prepared = prepare(corpus("a/B-OS b/I-OS c/B-Noise"), settings_of(label_map=str(table)))
    assert prepared.corpus[TRAIN][0].tags == ("B-SYSTEM", "I-SYSTEM", "O")
    assert prepared.schema.types == ("SYSTEM",)


@pytest.mark.parametrize(
    ("source", "table", "message"),
    [
        ({}, "keep", "no train split among none"),
        ({TEST: [sentence("a/B-OS")]}, "keep", "no train split among test"),
        ({TRAIN: [], TEST: [sentence("a/B-OS")]}, "keep", "no train split among train, test"),
        (corpus("no entity"), "keep", "train holds no entity after relabelling by 'keep'"),
        (corpus("a/B-Class"), "it5", "train holds no entity after relabelling by 'it5'"),
    ],
)
def test_a_corpus_without_anything_to_learn_is_refused(
    source: Corpus, table: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        prepare(source, settings_of(label_map=table))


# Duplicates


def test_train_sentences_that_others_hold_are_dropped_from_train_alone() -> None:
    source = corpus(
        "a/B-OS",
        "b/B-OS",
        "b",
        "c/B-OS",
        "d",
        validation=["b/B-OS", "c/B-OS"],
        test=["c", "d", "d"],
    )
    prepared = prepare(source, settings_of())
    assert [held.tokens for held in prepared.corpus[TRAIN]] == [("a",)]
    assert prepared.corpus[VALIDATION] == source[VALIDATION]
    assert prepared.corpus[TEST] == source[TEST]
    assert counts_of(prepared) == {
        "train/also_in_validation": 3,
        "train/also_in_test": 2,
        "validation/also_in_test": 1,
        "train/duplicates_dropped": 4,
        "train/duplicate_rows": 1,
        "test/duplicate_rows": 1,
    }


def test_duplicates_may_be_kept_and_are_counted_all_the_same() -> None:
    source = corpus("a/B-OS", "b/B-OS", test=["b"])
    prepared = prepare(source, settings_of(cross_split_duplicates="keep"))
    assert prepared.corpus[TRAIN] == source[TRAIN]
    assert counts_of(prepared)["train/also_in_test"] == 1
    assert "train/duplicates_dropped" not in counts_of(prepared)


def test_duplicates_within_train_stay() -> None:
    assert len(prepare(corpus("a/B-OS", "a/B-OS"), settings_of()).corpus[TRAIN]) == 2


def test_a_train_split_that_is_all_duplicates_is_refused() -> None:
    with pytest.raises(DataError, match="every train sentence also occurs in validation or test"):
        prepare(corpus("a/B-OS", test=["a"]), settings_of())


# Carving


def test_missing_splits_are_carved_from_train() -> None:
    train = numbered(100)
    prepared = prepare({TRAIN: train}, settings_of(validation_fraction=0.1, test_fraction=0.2))
    parts = [prepared.corpus[split] for split in SPLITS]
    assert [len(part) for part in parts] == [72, 8, 20]
    assert sorted((held for part in parts for held in part), key=train.index) == train
    assert all(part == sorted(part, key=train.index) for part in parts)
    assert (
        counts_of(prepared)["validation/carved_from_train"],
        counts_of(prepared)["test/carved_from_train"],
    ) == (8, 20)
    assert prepared.source == {TRAIN: train}


def test_carving_goes_by_the_seed() -> None:
    first, same, other = (
        prepare({TRAIN: numbered(100)}, settings_of(seed=seed)).corpus for seed in (1, 1, 2)
    )
    assert first == same
    assert all(first[split] != other[split] for split in SPLITS)


@pytest.mark.parametrize(("missing", "present"), [(VALIDATION, TEST), (TEST, VALIDATION)])
def test_a_present_split_is_unchanged(missing: str, present: str) -> None:
    train, held_out = numbered(50), [sentence(f"held{row}/B-OS") for row in range(30)]
    prepared = prepare({TRAIN: train, present: held_out}, settings_of())
    assert prepared.corpus[present] == held_out
    assert len(prepared.corpus[missing]) == 5
    assert set(prepared.corpus[missing]) < set(train)
    assert f"{present}/carved_from_train" not in counts_of(prepared)


def test_documents_are_carved_whole() -> None:
    train = [sentence(f"w{index}/B-OS", document=f"post {index // 7}") for index in range(140)]
    prepared = prepare({TRAIN: train}, settings_of(validation_fraction=0.2, test_fraction=0.2))
    documents = [{held.document for held in prepared.corpus[split]} for split in SPLITS]
    assert all(documents)
    assert not (
        documents[0] & documents[1] | documents[0] & documents[2] | documents[1] & documents[2]
    )
    assert [len(prepared.corpus[split]) for split in SPLITS] == [91, 21, 28]


@pytest.mark.parametrize("seed", range(8))
def test_a_document_larger_than_a_split_stays_in_train(seed: int) -> None:
    source = {
        TRAIN: [
            *numbered(50, document="large"),
            *(Sentence((f"s{index}",), ("B-OS",)) for index in range(50)),
        ]
    }
    prepared = prepare(source, settings_of(seed=seed)).corpus
    assert [len(prepared[split]) for split in (TEST, VALIDATION, TRAIN)] == [10, 9, 81]


def test_where_every_document_is_larger_the_smallest_is_taken() -> None:
    source = {
        TRAIN: [
            Sentence((f"{document}{index}",), ("B-OS",), document)
            for document, size in zip("abc", (30, 4, 5), strict=True)
            for index in range(size)
        ]
    }
    prepared = prepare(source, settings_of(test_fraction=0.05, validation_fraction=0.05)).corpus
    assert [len(prepared[split]) for split in (TEST, VALIDATION, TRAIN)] == [4, 5, 30]


def test_a_carved_split_far_from_the_size_asked_for_is_told() -> None:
    train = [sentence(f"w{index}/B-OS", document=f"post {index // 10}") for index in range(50)]
    prepared = prepare({TRAIN: train, VALIDATION: numbered(1)}, settings_of(test_fraction=0.1))
    (finding,) = [f for f in prepared.findings if f.kind == "carved_far_from_fraction"]
    assert len(prepared.corpus[TEST]) == 10
    assert (finding.split, finding.count) == (TEST, 5)
    assert finding.places == ("10 of 50 sentences, test_fraction=0.1",)
    near = prepare({TRAIN: numbered(50), VALIDATION: numbered(1)}, settings_of(test_fraction=0.1))
    assert near.findings.count("carved_far_from_fraction") == 0


@pytest.mark.parametrize("type_", ["C&A", "OS/KERNEL", "../../x", "..", "."])
def test_a_type_that_can_name_no_metric_is_refused(type_: str) -> None:
    with pytest.raises(
        DataError,
        match=f"type '{type_}' must be letters, digits, blanks and _ - . : to name metrics: "
        "rename it by a label_map",
    ):
        prepare(
            corpus("a/B-OS b", test=["c"], validation=["d"])
            | {TEST: [Sentence(("x",), (f"B-{type_}",))]},
            settings_of(),
        )


def test_sentences_carved_away_are_no_longer_in_train_even_when_repeated() -> None:
    train = [sentence(f"w{index % 10}/B-OS") for index in range(100)]
    prepared = prepare({TRAIN: train}, settings_of(validation_fraction=0.02, test_fraction=0.02))
    held_out = {held.tokens for split in (VALIDATION, TEST) for held in prepared.corpus[split]}
    assert held_out
    assert not held_out & {held.tokens for held in prepared.corpus[TRAIN]}
    assert counts_of(prepared)["train/duplicates_dropped"] > 0


@pytest.mark.parametrize(
    ("count", "values", "message"),
    [
        (4, {}, "no test split, and test_fraction=0.1 of 4 train sentences"),
        (100, {"test_fraction": 0}, "test_fraction=0.0 of 100"),
        (
            100,
            {"validation_fraction": 0},
            "no validation split, and validation_fraction=0.0 of 90",
        ),
        (100, {"test_fraction": 0.999}, "no test split"),
    ],
)
def test_carving_that_leaves_nothing_is_refused(
    count: int, values: dict[str, float], message: str
) -> None:
    train = [sentence(f"w{index}/B-OS") for index in range(count)]
    with pytest.raises(DataError, match=re.escape(message)):
        prepare({TRAIN: train}, settings_of(**values))


def test_one_document_in_the_whole_file_is_carved_by_sentences() -> None:
    train = [sentence(f"w{index}/B-OS", document="one post") for index in range(100)]
    prepared = prepare({TRAIN: train}, settings_of())
    assert [len(prepared.corpus[split]) for split in SPLITS] == [81, 9, 10]
    assert prepared.findings.count("documents_ignored") == 1


# Oversampling


def boosted(sentences: list[Sentence], **values: object) -> tuple[list[Sentence], dict[str, float]]:
    """Return the sentences to repeat, and the counts."""
    findings = Findings()
    rows = oversample(sentences, settings_of(**values), findings)
    return [sentences[row] for row in rows], findings.metrics()


def types_of(repeated: Sentence) -> set[str]:
    return {entity.type for entity in to_entities(repeated.tags)}


MIXED = [
    *(sentence(f"plain{row}") for row in range(84)),
    *(sentence(f"soft{row}/B-SOFTWARE") for row in range(10)),
    *(sentence(f"debian{row}/B-OS") for row in range(4)),
    *(sentence(f"panic{row}/B-ERROR at/I-ERROR bash/B-SOFTWARE") for row in range(2)),
]


def test_oversampling_asks_for_a_share_of_train_and_gets_what_holds_an_entity() -> None:
    repeated, counts = boosted(MIXED, oversample_factor=1.5)
    assert sorted(repeated, key=MIXED.index) == MIXED[84:]
    assert counts == {"train/oversampled": 16}


def test_oversampling_repeats_each_sentence_once_at_most() -> None:
    repeated, _ = boosted(MIXED, oversample_factor=1.1)
    assert len(set(repeated)) == len(repeated) == 10
    assert all(types_of(held) for held in repeated)


def test_the_rare_boost_counts_train_and_its_repetitions() -> None:
    repeated, counts = boosted(MIXED, oversample_factor=1.5, rare_boost=0.5, rare_types=2)
    extra = repeated[16:]
    assert counts == {"train/oversampled": 16, "train/rare_boosted": 6}
    assert len(extra) == 6
    assert all(types_of(held) & {"OS", "ERROR"} for held in extra)
    assert max(Counter(extra).values()) <= 2


def test_the_figures_of_the_reference_study() -> None:
    """9,263 sentences, 2,229 with an entity, 209 of them with a rare one: adds 2,229, then 209."""
    train = numbered(9263 - 2229, "O") + [sentence(f"s{row}/B-SOFTWARE") for row in range(2020)]
    train += [sentence(f"e{row}/B-ERROR") for row in range(59)] + [
        sentence(f"o{row}/B-OS") for row in range(150)
    ]
    repeated, counts = boosted(train, oversample_factor=1.5, rare_boost=0.5, rare_types=2)
    assert counts == {"train/oversampled": 2229, "train/rare_boosted": 209}
    assert len(train) + len(repeated) == 11701


def test_the_rarest_types_go_by_sentences_then_by_name() -> None:
    train = [
        sentence("a/B-X b/B-X c/B-X"),
        sentence("d/B-Z"),
        sentence("e/B-Y"),
        sentence("f/B-Z"),
        sentence("g/B-Y"),
    ]
    assert set(boosted(train, rare_boost=1, rare_types=1)[0]) == {train[0]}
    assert set(boosted(train, rare_boost=1, rare_types=2)[0]) == {train[0], train[2], train[4]}


def test_a_large_boost_takes_the_whole_pool_once() -> None:
    repeated, _ = boosted(MIXED, rare_boost=9, rare_types=1)
    assert sorted(repeated, key=MIXED.index) == MIXED[-2:]


def test_a_factor_of_one_adds_nothing() -> None:
    assert boosted(MIXED, oversample_factor=1)[0] == []


def test_oversampling_goes_by_the_seed() -> None:
    first, same, other = (
        boosted(MIXED, oversample_factor=1.08, rare_boost=0.5, seed=seed)[0] for seed in (1, 1, 2)
    )
    assert first == same != other


def test_only_train_grows_and_its_own_sentences_come_first() -> None:
    source: Corpus = {
        TRAIN: MIXED,
        VALIDATION: [sentence("v/B-OS")] * 3,
        TEST: [sentence("t/B-ERROR")] * 4,
    }
    prepared = prepare(source, settings_of(oversample_factor=1.5, rare_boost=0.5))
    assert prepared.corpus[TRAIN][: len(MIXED)] == MIXED
    assert len(prepared.corpus[TRAIN]) == len(MIXED) + 16 + 6
    assert [len(prepared.corpus[split]) for split in (VALIDATION, TEST)] == [3, 4]
    assert prepared.source[TRAIN] == MIXED


# Everything at once

TAGGED = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["O", "B-OS", "I-OS", "B-ERROR", "I-ERROR"])),
    min_size=1,
    max_size=3,
)
DOCUMENTS = st.sampled_from([None, None, "d1", "d2"])
PARTS = st.lists(
    st.builds(
        lambda words, document: Sentence(
            tuple(word for word, _ in words), tuple(repair([tag for _, tag in words])), document
        ),
        TAGGED,
        DOCUMENTS,
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    PARTS,
    st.one_of(st.none(), PARTS),
    st.one_of(st.none(), PARTS),
    st.fixed_dictionaries(
        {
            "cross_split_duplicates": st.sampled_from(["drop", "keep"]),
            "oversample_factor": st.floats(1, 3),
            "rare_boost": st.floats(0, 2),
            "seed": st.integers(0, 99),
        }
    ),
)
def test_preparation_adds_up_and_leaves_validation_and_test_alone(
    train: list[Sentence],
    validation: list[Sentence] | None,
    test: list[Sentence] | None,
    values: dict[str, object],
) -> None:
    own = numbered(12, "B-OS", origin="own")
    given_splits = {
        split: part for split, part in ((VALIDATION, validation), (TEST, test)) if part is not None
    }
    source: Corpus = {TRAIN: own + train, **given_splits}
    config = settings_of(validation_fraction=0.2, test_fraction=0.2, **values)
    try:
        prepared = prepare(source, config)
    except DataError as error:
        assume("also occurs in validation or test" not in str(error))
        raise
    counts = Counter(counts_of(prepared))
    for split, part in given_splits.items():
        assert prepared.corpus[split] == part
    carved = counts["validation/carved_from_train"] + counts["test/carved_from_train"]
    added = counts["train/oversampled"] + counts["train/rare_boosted"]
    assert (
        len(prepared.corpus[TRAIN])
        == len(source[TRAIN]) - carved - counts["train/duplicates_dropped"] + added
    )
    assert list(prepared.corpus) == list(SPLITS)
    assert all(
        invalid_positions(held.tags) == [] for split in SPLITS for held in prepared.corpus[split]
    )
    again = prepare(source, config)
    assert (again.corpus, again.source, again.schema) == (
        prepared.corpus,
        prepared.source,
        prepared.schema,
    )
    assert list(again.findings) == list(prepared.findings)
    if config.cross_split_duplicates == "drop":
        held_out = {held.tokens for split in (VALIDATION, TEST) for held in prepared.corpus[split]}
        assert not held_out & {held.tokens for held in prepared.corpus[TRAIN]}
