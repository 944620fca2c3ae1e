"""Each private name of another library still is what this package takes it for.

If a test fails after an upgrade, look for the new name, or for a public one that appeared since.
"""

import os
import sys
from pathlib import Path

import mlflow
import optuna
import pytest
from mlflow.optuna.storage import MlflowStorage
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from transformers import BertConfig, BertModel

from ner_mlflow.private_names import (
    UNFINISHED_ARTIFACT,
    attention_implementation,
    hadoop_files,
    hadoop_path,
    takes_custom_attention,
    trial_id,
)


def test_an_optuna_trial_carries_the_id_that_its_database_takes(tmp_path: Path) -> None:
    storage = RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}")
    # Ids count across studies, so that the second study's ids differ from its trials' numbers.
    optuna.create_study(storage=storage, study_name="first").ask()
    study = optuna.create_study(storage=storage, study_name="second")
    trial = study.ask()
    study_id = storage.get_study_id_from_name("second")
    expected = storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
    assert trial_id(trial) == expected != trial.number
    assert trial_id(study.get_trials()[0]) == expected
    assert storage.get_trial(trial_id(trial)).state == TrialState.RUNNING


def test_an_optuna_trial_in_the_tracking_store_carries_the_id_of_its_run(store: str) -> None:
    storage = MlflowStorage(mlflow.create_experiment("study"))
    study = optuna.create_study(storage=storage, study_name="study")
    trial = study.ask()
    assert mlflow.get_run(trial_id(trial)).data.tags["mlflow.parentRunId"]
    assert [trial_id(frozen) for frozen in study.get_trials()] == [trial_id(trial)]
    # The day this test fails, ids can be had in a public way, and `trial_id` can go.
    with pytest.raises(NotImplementedError):
        storage.get_trial_id_from_study_id_trial_number("", trial.number)


def test_a_transformers_model_reports_its_attention() -> None:
    config = BertConfig(
        vocab_size=8,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
    )
    network = BertModel(config)
    assert takes_custom_attention(network)
    for name in ("eager", "sdpa"):
        network.set_attn_implementation(name)
        assert attention_implementation(network) == name


@pytest.mark.slow  # starts a JVM
def test_a_spark_session_gives_hadoop_s_file_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = pytest.importorskip("pyspark.sql", reason="the extra spark is not installed")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    session = sql.SparkSession.builder.master("local[1]").getOrCreate()
    try:
        (tmp_path / "before").mkdir()
        path, files = hadoop_path(session, str(tmp_path / "before"))
        target, _ = hadoop_path(session, f"file://{tmp_path}/after")
        assert files.exists(path)
        assert not files.exists(target)
        assert files.rename(path, target)
        assert (tmp_path / "after").is_dir()
        (tmp_path / "after" / "below").mkdir()
        (tmp_path / "after" / "below" / "a b.txt").write_bytes(b"abc")
        (found,) = hadoop_files(session, f"file:{tmp_path}/after")
        assert found[:2] == (f"file:{tmp_path}/after/below/a b.txt", 3)
        assert list(hadoop_files(session, found[0])) == [found]
        assert list(hadoop_files(session, f"file:{tmp_path}/before")) == []
        assert files.delete(target, True)
        assert not (tmp_path / "after").exists()
    finally:
        session.stop()


def test_an_artifact_has_another_name_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "scores.json", tmp_path / "artifacts"
    source.write_text("{}")
    seen: list[str] = []
    replace = os.replace

    def note_names(written: str, name: str) -> None:
        seen.extend(path.name for path in target.iterdir())
        replace(written, name)

    monkeypatch.setattr(os, "replace", note_names)
    LocalArtifactRepository(str(target)).log_artifact(str(source))
    assert len(seen) == 1
    assert seen[0].startswith(UNFINISHED_ARTIFACT)
    assert [path.name for path in target.iterdir()] == ["scores.json"]
