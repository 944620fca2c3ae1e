"""A corpus is described as it was read and prepared, with the way on; nothing stops half-way."""

from pathlib import Path

import pytest

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import DataConfig
from ner_mlflow.data.inspection import (
    fit_label_maps,
    inspect_corpus,
    recommend_label_map,
)

PEOPLE = [f"Anna{number}/B-PER lives/O in/O Bern/B-LOC" for number in range(40)]


def conll(sentences: list[str]) -> str:
    return "\n\n".join(sentence.replace("/", "\t").replace(" ", "\n") for sentence in sentences)


def write(folder: Path, **files: list[str]) -> Path:
    for name, sentences in files.items():
        (folder / f"{name}.conll").write_text(conll(sentences) + "\n", encoding="utf-8")
    return folder


def settings_of(folder: Path, **values: object) -> DataConfig:
    return load_config(
        overrides={
            "data.dataset": str(folder),
            **{f"data.{name}": value for name, value in values.items()},
        }
    ).data


def test_splits_types_and_files_are_counted_as_they_were_read(tmp_path: Path) -> None:
    write(tmp_path, train=PEOPLE, test=["Zoe/B-PER left/O Rome/B-LOC"])
    inspection = inspect_corpus(settings_of(tmp_path))
    assert inspection.error == ""
    assert inspection.formats == ("CoNLL",)
    assert [(Path(file.path).name, file.split) for file in inspection.files] == [
        ("train.conll", "train"),
        ("test.conll", "test"),
    ]
    counts = [(s.split, s.sentences, s.words, s.entities) for s in inspection.splits]
    assert counts == [("train", 40, 160, 80), ("test", 1, 3, 2)]
    types = {type_.type: (type_.counts, type_.examples) for type_ in inspection.types}
    assert types["LOC"] == ({"train": 40, "test": 1}, {"train": ("Bern",), "test": ("Rome",)})
    assert types["PER"][1]["train"][0] == "Anna0"


def test_the_corpus_is_prepared_by_the_label_map_that_fits(tmp_path: Path) -> None:
    write(tmp_path, train=PEOPLE)
    inspection = inspect_corpus(settings_of(tmp_path))
    assert inspection.label_map == "keep"
    assert str(inspection.fits[0]) == "label_map=it5 knows 0 of 2 types, lacks LOC, PER"
    prepared = {split.split: split.sentences for split in inspection.prepared_splits}
    assert prepared == {"train": 32, "validation": 4, "test": 4}
    assert "carved_from_train" in {finding.kind for finding in inspection.findings}
    assert {type_.type for type_ in inspection.prepared_types} == {"PER", "LOC"}
    assert {type_.target for type_ in inspection.types} == {"PER", "LOC"}


def test_findings_are_ordered_by_effect_and_split(tmp_path: Path) -> None:
    twice = ["Bob/B-PER slept/O", "Bob/B-PER slept/O"]
    write(tmp_path, train=[*PEOPLE, *twice], test=twice)
    findings = inspect_corpus(settings_of(tmp_path)).findings
    shown = [(finding.kind, finding.split, finding.count) for finding in findings]
    assert shown.index(("duplicates_dropped", "train", 2)) < shown.index(
        ("carved_from_train", "validation", 4)
    )
    assert shown.index(("duplicate_rows", "train", 1)) < shown.index(("duplicate_rows", "test", 1))


@pytest.mark.parametrize(
    ("types", "settings", "recommended"),
    [
        (("OS", "Device"), {}, "it5"),
        (("OS", "Person"), {}, "keep"),
        (("Class", "Function"), {}, "keep"),  # it5 makes both O
        (("OS", "Person"), {"unknown_tags": "outside"}, "it5"),
        (("OS",), {"label_map": "keep"}, "keep"),
        ((), {}, ""),
    ],
)
def test_the_label_map_that_knows_all_types_is_recommended(
    types: tuple[str, ...], settings: dict[str, str], recommended: str
) -> None:
    config = DataConfig(**settings)  # type: ignore[arg-type]
    assert recommend_label_map(fit_label_maps(types, config), config) == recommended


def test_a_label_map_of_ones_own_is_compared_with_those_that_ship(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("OS: SYSTEM\n", encoding="utf-8")
    mine = str(tmp_path / "mine.yaml")
    fits = fit_label_maps(["OS", "Device"], DataConfig(label_map=mine))
    assert [str(fit) for fit in fits] == [
        f"label_map={mine} knows 1 of 2 types, lacks Device",
        "label_map=it5 knows all 2 types",
        "label_map=keep keeps all 2 types as they are",
    ]


def test_a_label_map_that_makes_every_type_outside_says_so() -> None:
    fit = fit_label_maps(["Class"], DataConfig())[0]
    assert str(fit) == "label_map=it5 knows all 1 types, but maps all of them to O"


def test_a_broken_label_map_is_the_error_and_the_corpus_is_shown(tmp_path: Path) -> None:
    write(tmp_path, train=PEOPLE)
    inspection = inspect_corpus(settings_of(tmp_path, label_map=str(tmp_path / "none.yaml")))
    assert "none.yaml" in inspection.error
    assert [type_.count for type_ in inspection.types] == [40, 40]
    assert inspection.label_map == "keep"
    assert inspection.prepared_splits == ()


def test_a_corpus_that_cannot_be_prepared_is_shown_with_the_error(tmp_path: Path) -> None:
    write(tmp_path, test=PEOPLE)
    inspection = inspect_corpus(settings_of(tmp_path))
    assert "train" in inspection.error
    assert [split.split for split in inspection.splits] == ["test"]
    assert len(inspection.sentences) == 20


def test_every_file_is_read_alone_where_the_corpus_is_refused(tmp_path: Path) -> None:
    write(tmp_path, train=PEOPLE)
    rows = '{"tokens": ["a"], "ner_tags": ["O"]}\n{"tokens": ["a"], "ner_tags": ["O", "O"]}\n'
    (tmp_path / "dev.jsonl").write_text(rows, encoding="utf-8")
    (tmp_path / "test.jsonl").write_text(rows.replace('["O", "O"]', '["X"]'), encoding="utf-8")
    inspection = inspect_corpus(settings_of(tmp_path))
    assert inspection.error
    by_name = {Path(file.path).name: file for file in inspection.files}
    assert (by_name["train.conll"].sentences, by_name["train.conll"].error) == (40, "")
    assert by_name["dev.jsonl"].sentences == 1
    assert "1 tokens but 2 tags" in by_name["dev.jsonl"].error
    assert inspection.splits == ()


def test_a_folder_without_a_split_is_listed(tmp_path: Path) -> None:
    (tmp_path / "notes.pdf").write_bytes(b"%PDF\0")
    (tmp_path / "corpus").mkdir()
    inspection = inspect_corpus(settings_of(tmp_path))
    assert inspection.error
    assert {Path(file.path).name: file.format for file in inspection.files} == {
        "notes.pdf": "no known format",
        "corpus": "folder",
    }


def test_a_path_that_does_not_exist_is_only_an_error(tmp_path: Path) -> None:
    inspection = inspect_corpus(settings_of(tmp_path / "none"))
    assert "none" in inspection.error
    assert inspection.files == ()


def test_settings_that_differ_from_the_defaults_are_shown_as_one_types_them(tmp_path: Path) -> None:
    write(tmp_path, train=PEOPLE)
    inspection = inspect_corpus(settings_of(tmp_path, label_map="keep", test_fraction=0.25))
    assert inspection.settings == {
        "dataset": str(tmp_path),
        "label_map": "keep",
        "test_fraction": "0.25",
    }
