"""Scores of slices, and calibration of confidence."""

from collections.abc import Sequence
from math import isnan

import pandas as pd
import pytest

from ner_mlflow.data.sentences import Sentence
from ner_mlflow.evaluation.significance import Interval
from ner_mlflow.evaluation.slices import count_slices, train_surfaces


def tagged(text: str) -> Sentence:
    words = [word.partition("/") for word in text.split()]
    return Sentence(tuple(word for word, _, _ in words), tuple(tag or "O" for _, _, tag in words))


TRAIN = [
    tagged("Ubuntu/B-OS 22.04/I-OS"),
    tagged("ubuntu/B-OS"),
    tagged("UBUNTU/B-OS and Java/B-SOFTWARE"),
]
SENTENCES = [
    tagged("Ubuntu/B-OS"),
    tagged("Java/B-OS runs on Arch/B-OS Linux/I-OS"),
    tagged("no entity here"),
]
PREDICTED = [["B-OS"], ["B-OS", "O", "O", "B-OS", "O"], ["O", "O", "B-SOFTWARE"]]


def slice_scores(
    length_edges: list[int], frequency_edges: list[int], weak: Sequence[Sentence] = ()
) -> pd.DataFrame:
    surfaces, weak_surfaces = train_surfaces(TRAIN), train_surfaces(weak)
    slices = count_slices(
        SENTENCES, PREDICTED, surfaces, weak_surfaces, length_edges, frequency_edges
    )
    return slices.table([Interval(0.0, 1.0)] * len(slices.names)).drop(
        columns=["f1_low", "f1_high"]
    )


def row(table: pd.DataFrame, by: str, name: str) -> dict[str, float]:
    (match,) = table[(table["by"] == by) & (table["slice"] == name)].to_dict("records")
    return {str(key): value for key, value in match.items() if key not in ("by", "slice")}


def test_entities_count_by_their_occurrence_in_train() -> None:
    table = slice_scores([2, 4], [1, 3])
    assert row(table, "surface", "seen") == {
        "gold": 1,
        "predicted": 1,
        "precision": 1.0,
        "recall": 1.0,
        "f1": 1.0,
    }
    assert row(table, "surface", "seen as another type") == {
        "gold": 1,
        "predicted": 1,
        "precision": 1.0,
        "recall": 1.0,
        "f1": 1.0,
    }
    # Arch Linux is missed; "Arch" alone and "here" are wrong.
    assert row(table, "surface", "unseen") == {
        "gold": 1,
        "predicted": 2,
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
    }


def test_entities_count_by_frequency_in_train_and_by_sentence_length() -> None:
    table = slice_scores([2, 4], [1, 2])
    assert table[table["by"] == "words"]["slice"].tolist() == ["1", "2 to 3", "4 or more"]
    assert table[table["by"] == "train count"]["slice"].tolist() == ["0", "1", "2 or more"]
    assert [row(table, "train count", name)["gold"] for name in ("0", "1", "2 or more")] == [
        2,
        0,
        1,
    ]
    assert [row(table, "words", name)["gold"] for name in ("1", "2 to 3", "4 or more")] == [1, 0, 2]
    assert row(table, "words", "4 or more")["f1"] == pytest.approx(0.5)
    assert row(table, "words", "2 to 3")["predicted"] == 1


def test_surfaces_that_only_weak_labels_name_have_a_slice_of_their_own() -> None:
    weak = [tagged("arch/B-OS linux/I-OS or Ubuntu/B-OS"), tagged("maybe/?")]
    table = slice_scores([2], [1, 3], weak)
    names = table[table["by"] == "surface"]["slice"].tolist()
    assert names == ["seen", "seen as another type", "seen in weak labels only", "unseen"]
    assert row(table, "surface", "seen in weak labels only")["gold"] == 1
    assert row(table, "surface", "seen")["gold"] == 1
    unseen = row(table, "surface", "unseen")
    assert isnan(unseen.pop("recall"))  # gold has no entity here that could be found
    assert unseen == {"gold": 0, "predicted": 2, "precision": 0.0, "f1": 0.0}
    assert row(table, "train count", "0")["gold"] == 2  # frequency in gold train


def test_without_edges_there_is_one_slice() -> None:
    table = slice_scores([], [])
    assert row(table, "words", "1 or more")["gold"] == 3


def test_a_slice_without_entities_has_no_scores() -> None:
    table = slice_scores([2, 4, 99], [1, 2])
    empty = row(table, "words", "99 or more")
    assert (empty["gold"], empty["predicted"]) == (0, 0)
    assert isnan(empty["precision"])
    assert isnan(empty["recall"])
    assert isnan(empty["f1"])
    assert not table.loc[table["gold"] + table["predicted"] > 0, "f1"].isna().any()
