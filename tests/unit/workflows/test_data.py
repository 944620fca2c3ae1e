"""Prepared data is read back from its run, and its cache key follows its sources and settings."""

from pathlib import Path

import mlflow
import pytest
from pipelines import Finished, write_corpus

from ner_mlflow.config.loading import load_config
from ner_mlflow.data.sentences import SPLITS
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.errors import TrackingError
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.queries import read_run
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.data import data_cache_key, load_data, run_data


def test_a_dataset_is_read_back_from_its_run(finished: Finished) -> None:
    data = load_data(finished.data.run_id)
    assert data == finished.data
    summary = read_run(data.run_id)
    assert summary.tags["dataset_fingerprint"] == data.dataset.fingerprint
    assert summary.metrics["prepared/train/sentences"] == len(data.dataset.corpus["train"])


def test_the_card_of_a_dataset_is_logged_with_its_run(finished: Finished) -> None:
    page = mlflow.artifacts.load_text(f"runs:/{finished.data.run_id}/card.html")
    assert finished.data.dataset.fingerprint in page
    assert "<h2>Source</h2>" in page
    assert "train.conll" in page
    assert "<mark" in page


def test_the_first_page_of_a_data_run_tells_its_size_and_leads_to_the_card(
    finished: Finished,
) -> None:
    run = mlflow.get_run(finished.data.run_id)
    description = run.data.tags["mlflow.note.content"]
    sizes = [run.data.metrics[f"prepared/{split}/sentences"] for split in SPLITS]
    assert description.startswith(f"{sum(sizes):,.0f} sentences with ")
    assert f"/runs/{run.info.run_id}/artifacts/card.html" in description


def test_a_run_of_another_step_holds_no_dataset(finished: Finished) -> None:
    with pytest.raises(TrackingError, match="is a train run, not a data run"):
        load_data(finished.result.train.run_id)


def test_the_cache_key_follows_the_content_of_files_and_the_settings(tmp_path: Path) -> None:
    def key(folder: Path, **settings: object) -> str:
        overrides = {f"data.{name}": value for name, value in settings.items()}
        return data_cache_key(load_config(overrides={**overrides, "data.dataset": str(folder)}))

    folder = write_corpus(tmp_path / "corpus")
    first = key(folder)
    assert key(folder) == first
    assert key(folder, label_map="keep") != first
    with (folder / "train.conll").open("a", encoding="utf-8") as file:
        file.write("\nmore\tO\n")
    assert key(folder) != first


@pytest.mark.usefixtures("store")
def test_splits_are_also_written_in_another_format(tmp_path: Path) -> None:
    settings = {"data.dataset": str(write_corpus(tmp_path / "corpus")), "data.format": "conll"}
    config = load_config(overrides=settings)
    with open_run(Step.DATA, "data") as run:
        prepared = run_data(run, config)
    folder = mlflow.artifacts.download_artifacts(f"runs:/{run.id}/export", dst_path=str(tmp_path))
    assert sorted(path.name for path in Path(folder).iterdir()) == sorted(
        f"{split}.conll" for split in SPLITS
    )
    reading = read_corpus(config.data.model_copy(update={"dataset": folder}))
    for split in SPLITS:
        assert [(sentence.tokens, sentence.tags) for sentence in reading.corpus[split]] == [
            (sentence.tokens, sentence.tags) for sentence in prepared.dataset.corpus[split]
        ]


def test_the_cache_key_follows_every_file_that_is_read(tmp_path: Path) -> None:
    def key(**settings: object) -> str:
        overrides = {f"data.{name}": value for name, value in settings.items()}
        return data_cache_key(load_config(overrides=overrides))

    folder = tmp_path / "a, corpus"
    (folder / "train").mkdir(parents=True)
    table, names = tmp_path / "map.yaml", tmp_path / "names.json"
    for path in (folder / "train" / "part.conll", folder / "notes.conll", table, names):
        path.write_text("Windows\tB-OS\n", encoding="utf-8")
    settings = {"dataset": str(folder), "label_map": str(table), "tag_names": str(names)}
    keys = [key(**settings)]
    for path in (folder / "train" / "part.conll", table, names):
        path.write_text("Debian\tB-OS\n", encoding="utf-8")
        keys.append(key(**settings))
    (folder / "test").mkdir()
    (folder / "notes.conll").rename(folder / "test" / "notes.conll")
    keys.append(key(**settings))
    keys.append(key(**settings, splits=["train/part.conll=train"]))
    assert len(set(keys)) == len(keys)
    (folder / "README.md").write_text("changed", encoding="utf-8")
    assert key(**settings) == keys[-2]


def test_a_dataset_that_is_not_there_has_a_key_as_well(tmp_path: Path) -> None:
    config = load_config(overrides={"data.dataset": str(tmp_path / "none.conll")})
    assert data_cache_key(config) == data_cache_key(config)
