"""The public functions: runs of their own or below the caller's run, and errors before any work."""

from pathlib import Path

import mlflow
import pytest

import ner_mlflow
from ner_mlflow.errors import ConfigError, DataError, ModelError, TrackingError
from ner_mlflow.tracking.queries import read_run

CORPUS = "I\tO\nuse\tO\nUbuntu\tB-OS\n\n"


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.conll").write_text(CORPUS + f"{split}\tO\n", encoding="utf-8")
    return ",".join(str(tmp_path / f"{split}.conll") for split in ("train", "validation", "test"))


def test_a_step_has_a_run_of_its_own_or_below_the_active_run(store: str, corpus: str) -> None:
    alone = ner_mlflow.prepare(corpus)
    with mlflow.start_run() as notebook:
        below = ner_mlflow.prepare(corpus)
    assert read_run(alone.run_id).parent == ""
    assert read_run(below.run_id).parent == notebook.info.run_id
    assert alone.dataset == below.dataset


def test_settings_by_dotted_key_take_effect(store: str, corpus: str) -> None:
    data = ner_mlflow.prepare(corpus, settings={"data.label_map": "keep"})
    assert data.dataset.schema.types == ("OS",)


def test_an_unknown_setting_or_preset_opens_no_run(store: str, corpus: str) -> None:
    with pytest.raises(ConfigError, match=r"no setting 'data\.sed': did you mean data\.seed"):
        ner_mlflow.prepare(corpus, settings={"data.sed": 3})
    with pytest.raises(ConfigError, match="no preset 'minilm': give one of"):
        ner_mlflow.train("0" * 32, preset="minilm")
    assert mlflow.search_runs(["0"], output_format="list") == []


def test_a_step_that_fails_leaves_a_failed_run(store: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        ner_mlflow.prepare(str(tmp_path / "none.conll"))
    (run,) = mlflow.search_runs(["0"], output_format="list")
    assert read_run(run.info.run_id).status == "FAILED"


def test_a_model_that_does_not_exist_opens_no_run(store: str) -> None:
    with pytest.raises(ModelError, match="model 'none' is neither a folder that exists"):
        ner_mlflow.evaluate("none")
    with pytest.raises(ModelError, match="model 'none' is neither a folder that exists"):
        ner_mlflow.load_recognizer("none")
    assert mlflow.search_runs(["0"], output_format="list") == []


def test_a_name_that_the_registry_refuses_opens_no_run(store: str) -> None:
    with pytest.raises(TrackingError, match="alias 'latest': must be letters"):
        ner_mlflow.export("none", registered_model="api", alias="latest")
    assert mlflow.search_runs(["0"], output_format="list") == []
