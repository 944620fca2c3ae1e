"""The table of statistics, counted by hand on a tiny corpus, and its figure."""

import pytest
from readable_plots import assert_readable, points, rows, side_texts

from ner_mlflow.data.prepare import Preparation
from ner_mlflow.data.sentences import TEST, TRAIN, VALIDATION, Corpus, Sentence, Sentences
from ner_mlflow.data.statistics import plot_statistics, statistics, statistics_metrics
from ner_mlflow.tagging.label_schema import LabelSchema

SCHEMA = LabelSchema(("ERROR", "OS"))


def tagged(*tags: str) -> Sentence:
    return Sentence(tuple(f"w{index}" for index in range(len(tags))), tags)


SOURCE: Corpus = {
    TRAIN: [
        tagged("B-OS"),
        tagged("B-OS", "I-OS", "B-OS", "O"),
        tagged("O", "O"),
        tagged("O", "O", "O"),
    ],
    TEST: [tagged("B-ERROR", "O")],
}
PREPARED: Corpus = {TRAIN: SOURCE[TRAIN][1:], VALIDATION: SOURCE[TRAIN][:1], TEST: SOURCE[TEST]}


def preparation(prepared: Corpus, source: Corpus, schema: LabelSchema = SCHEMA) -> Preparation:
    """Return a preparation of these sentences as tables."""
    tables = [
        {split: Sentences.of(part) for split, part in corpus.items()}
        for corpus in (prepared, source)
    ]
    return Preparation(tables[0], tables[1], schema)


PREPARATION = preparation(PREPARED, SOURCE)


def test_the_table_counts_each_stage_and_split() -> None:
    table = statistics(PREPARATION)
    assert list(table.columns) == [
        "stage",
        "split",
        "sentences",
        "tokens_mean",
        "tokens_median",
        "entities",
        "ERROR",
        "OS",
    ]
    assert table.to_numpy().tolist() == [
        ["source", TRAIN, 4, 2.5, 2.5, 3, 0, 3],
        ["source", TEST, 1, 2.0, 2.0, 1, 1, 0],
        ["prepared", TRAIN, 3, 3.0, 3.0, 2, 0, 2],
        ["prepared", VALIDATION, 1, 1.0, 1.0, 1, 0, 1],
        ["prepared", TEST, 1, 2.0, 2.0, 1, 1, 0],
    ]


def test_the_mean_is_not_the_median() -> None:
    corpus = {**PREPARED, TRAIN: [tagged("O"), tagged("O"), tagged(*["O"] * 5)]}
    row = statistics(preparation(corpus, corpus)).iloc[0]
    assert (row["tokens_mean"], row["tokens_median"]) == (2.33, 1.0)


def test_metrics_are_named_by_stage_split_and_type() -> None:
    metrics = statistics_metrics(statistics(PREPARATION))
    assert len(metrics) == 5 * 6
    assert {name: value for name, value in metrics.items() if name.startswith("source/train/")} == {
        "source/train/sentences": 4.0,
        "source/train/tokens_mean": 2.5,
        "source/train/tokens_median": 2.5,
        "source/train/entities": 3.0,
        "source/train/ERROR/entities": 0.0,
        "source/train/OS/entities": 3.0,
    }
    assert metrics["prepared/test/ERROR/entities"] == 1.0
    assert all(isinstance(value, float) for value in metrics.values())


def test_a_split_without_sentences_counts_nothing() -> None:
    metrics = statistics_metrics(statistics(preparation(PREPARED, {**SOURCE, VALIDATION: []})))
    assert {value for name, value in metrics.items() if name.startswith("source/validation/")} == {
        0.0
    }


@pytest.mark.parametrize("count", [1, 30])
def test_the_figure_shows_every_type_and_split(count: int) -> None:
    schema = LabelSchema(tuple(f"T{index:02}" for index in range(count)))
    sentence = tagged(*(f"B-{type_}" for type_ in schema.types))
    corpus: Corpus = {TRAIN: [sentence] * 5, VALIDATION: [sentence], TEST: [sentence] * 2}
    figure = plot_statistics(statistics(preparation(corpus, corpus, schema)), schema)
    sentences, entities = figure.axes
    assert rows(entities) == list(schema.types)
    assert [[x for x, _ in line] for line in points(entities)] == [
        [5] * count,
        [1] * count,
        [2] * count,
    ]
    assert [bar.get_width() for bar in sentences.patches] == [5, 1, 2]
    assert side_texts(entities) == {
        TRAIN: ["5"] * count,
        VALIDATION: ["1"] * count,
        TEST: ["2"] * count,
    }
    assert_readable(figure)


def test_a_type_without_entities_has_a_row_and_no_point() -> None:
    figure = plot_statistics(statistics(PREPARATION), SCHEMA)
    entities = figure.axes[1]
    assert rows(entities) == ["OS", "ERROR"]
    assert [[x for x, _ in line] for line in points(entities)] == [[2], [1], [1]]
    assert side_texts(entities)[TRAIN] == ["2", "0"]
