"""The command of the main job resolves each preset once, by a name of its own."""

from pathlib import Path

import mlflow
import pytest

from ner_mlflow.cli.main import main
from ner_mlflow.cli.options import GivenSettings
from ner_mlflow.errors import ConfigError


def run_main(*presets: str) -> None:
    assert main.callback is not None
    main.callback(", ".join(presets), "it-ner", "champion", GivenSettings(()))


def test_two_presets_of_one_name_are_refused(store: str, tmp_path: Path) -> None:
    files = [tmp_path / folder / "mine.yaml" for folder in "ab"]
    for file in files:
        file.parent.mkdir()
        file.write_text("train: {epochs: 1}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="two have the same name: rename a file"):
        run_main(*map(str, files))


def test_a_preset_that_is_missing_fails_the_run_before_any_step(store: str) -> None:
    with pytest.raises(ConfigError, match="minilm_ful"):
        run_main("minilm_lora", "minilm_ful")
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert run.info.status == "FAILED"
    assert mlflow.get_experiment(run.info.experiment_id).name == "sample"


def test_no_preset_is_refused(store: str) -> None:
    with pytest.raises(ConfigError, match="presets '' is empty"):
        run_main()
