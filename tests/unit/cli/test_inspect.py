"""The command inspect shows a corpus and the way on; it writes nothing."""

import shlex
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipelines import write_corpus

from ner_mlflow.cli.inspect import inspect, next_command
from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import DataConfig
from ner_mlflow.config.settings import SETTINGS
from ner_mlflow.data.formats.registry import FORMATS
from ner_mlflow.data.inspection import Inspection


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        inspect([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)


def test_the_help_lists_every_format() -> None:
    text = inspect.get_help(click.Context(inspect, info_name="inspect"))
    for format_ in FORMATS.values():
        assert f"\n  {format_.name} " in text
        assert f"{format_.title}: " in text


def test_a_corpus_is_shown_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_corpus(tmp_path / "my corpus")
    before = sorted(tmp_path.rglob("*"))
    assert run("--dataset", corpus) == 0
    shown = capsys.readouterr().out
    assert "3 splits, 84 sentences, 2 types" in shown
    assert "* label_map=it5 knows all 2 types: recommended" in shown
    assert f"ner-mlflow main --dataset '{corpus}' --label_map it5" in shown
    assert sorted(tmp_path.rglob("*")) == before


def test_the_command_is_one_for_mlflow_run_in_the_folder_of_the_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path / "corpus")
    (tmp_path / "MLproject").touch()
    (tmp_path / "mine.yaml").write_text("data: {seed: 3}\n", encoding="utf-8")
    assert run("--dataset", "corpus", "--preset", "mine.yaml", "--untyped_type", "OS") == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "  mlflow run . --env-manager local -P presets=mine.yaml -P dataset=corpus "
        "-P label_map=it5 -P data.untyped_type=OS"
    )


def test_a_refused_corpus_is_shown_as_far_as_it_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    (corpus / "test.conll").unlink()
    (corpus / "test.jsonl").write_text(
        '{"tokens": ["a"], "ner_tags": ["O"]}\n{"tokens": ["a"], "ner_tags": []}\n',
        encoding="utf-8",
    )
    assert run("--dataset", corpus) == 1
    shown = capsys.readouterr()
    assert "train.conll" in shown.out
    assert "60 sentences" in shown.out
    assert "error after 1 sentence" in shown.out
    assert "Continue with" not in shown.out
    assert shown.err.startswith("error: ")
    assert "test.jsonl:2: 1 tokens but 0 tags" in shown.err
    assert shown.err.count("\n") == 1


# The command to go on with

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def read_back(command: str) -> dict[str, object]:
    """Return the settings of a printed command, read as `mlflow run` and the options read them."""
    words = shlex.split(command)
    pairs = [word.partition("=") for word in words[words.index("-P") + 1 :: 2]]
    keys = [name if "." in name else f"data.{name}" for name, _, _ in pairs]
    return {key: SETTINGS[key].parse(text) for key, (_, _, text) in zip(keys, pairs, strict=True)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {"dataset": TEXT, "label_map": TEXT},
        optional={
            "token_column": TEXT,
            "splits": st.lists(TEXT, max_size=3),
            "scheme": st.sampled_from(["IOB1", "BIOES"]),
            "test_fraction": st.floats(0, 0.9),
            "seed": st.integers(0, 10**9),
        },
    )
)
def test_the_command_gives_the_settings_of_the_inspection(values: dict[str, object]) -> None:
    config = load_config(overrides={f"data.{name}": value for name, value in values.items()}).data
    command = next_command(Inspection(config.dataset), config, DataConfig(), project=".")
    assert load_config(overrides=read_back(command)).data == config


def test_the_command_names_the_recommended_label_map_and_what_differs_from_the_preset() -> None:
    inspection = Inspection("my corpus", label_map="keep")
    config = DataConfig(dataset="my corpus", scheme="BIOES", seed=3)
    base = DataConfig(seed=3)
    assert next_command(inspection, config, base, "bert_full", ".") == (
        "mlflow run . --env-manager local -P presets=bert_full -P 'dataset=my corpus' "
        "-P label_map=keep -P data.scheme=BIOES"
    )
    assert next_command(inspection, config, base) == (
        "ner-mlflow main --dataset 'my corpus' --label_map keep --data.scheme BIOES"
    )
