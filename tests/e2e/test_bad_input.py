"""Bad input ends in one line that states the way out, a FAILED run, and nothing registered."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_server

import mlflow
import pytest
from conftest import entry_point

from ner_mlflow.data.dataset import FORMAT, SCHEMA_FILE


@dataclass(frozen=True)
class Case:
    """A command that must fail: a pattern of its message, and its exit status."""

    step: str
    arguments: tuple[str, ...]
    message: str
    status: int = 1
    opens_a_run: bool = True
    env: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bad")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment("here", artifact_location=(folder / "artifacts").as_uri())
    (folder / "a-file").write_text("not a folder")
    mlflow.create_experiment(
        "readonly", artifact_location=(folder / "a-file" / "artifacts").as_uri()
    )
    return uri


def short_line(folder: Path) -> Case:
    (folder / "train.conll").write_text("Windows\tB-OS\n10\n")
    return Case(
        "data",
        ("--dataset", str(folder)),
        r"train\.conll:2: 1 column where the file has 2: '10': give 2 columns, separated by tabs",
    )


def unknown_tag(folder: Path) -> Case:
    (folder / "train.conll").write_text("Windows\tB-OS\nAcme\tB-Company\n")
    return Case(
        "data",
        ("--dataset", str(folder)),
        r"does not know: B-Company \(1 times: .*train\.conll:1 word 1 'Acme'\)\. Add the types "
        r".* unknown_tags=outside",
    )


def empty_split(folder: Path) -> Case:
    (folder / "train.conll").write_text("Windows\tB-OS\n")
    (folder / "test.conll").write_text("\n")
    return Case(
        "data",
        ("--dataset", str(folder)),
        r"test\.conll: the test split is empty: give a file with at least one sentence",
    )


def ragged_jsonl(folder: Path) -> Case:
    (folder / "train.jsonl").write_text(
        json.dumps({"tokens": ["a", "b"], "ner_tags": ["O"]}) + "\n"
    )
    return Case(
        "data",
        ("--dataset", str(folder / "train.jsonl")),
        r"train\.jsonl:1: 2 tokens but 1 tags: give one tag for each token",
    )


def no_such_file(folder: Path) -> Case:
    return Case(
        "data",
        ("--dataset", str(folder / "none.conll")),
        r"no such file or folder: .*none\.conll .* give a path that exists",
    )


def missing_backbone(folder: Path) -> Case:
    return Case(
        "train",
        ("--backbone", "acme/none"),
        r"backbone 'acme/none' is not a short name or a folder, and cannot be downloaded .* "
        r"or give a folder",
        env={"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(folder)},
    )


def wrong_type(folder: Path) -> Case:
    return Case(
        "train",
        ("--epochs", "three"),
        r"train\.epochs: input should be a valid integer, .*not 'three'",
    )


def wrong_name(folder: Path) -> Case:
    return Case(
        "train",
        ("--epoch", "3"),
        r"No such option '--epoch'.*see: ner-mlflow train --help",
        status=2,
        opens_a_run=False,
    )


def wrong_key(folder: Path) -> Case:
    return Case(
        "train",
        ("--train.epoch", "3"),
        r"option --train\.epoch: no setting 'train\.epoch': did you mean train\.epochs\?$",
        opens_a_run=False,
    )


def two_values(folder: Path) -> Case:
    return Case(
        "train",
        ("--epochs", "3", "--train.epochs", "4"),
        r"train\.epochs has two values, --.*epochs '\d' and --.*epochs '\d': give one of them$",
    )


def broken_list(folder: Path) -> Case:
    return Case(
        "train",
        ("--distill.teachers", "[a, b"),
        r"distill\.teachers: '\[a, b' is not a YAML list: write \[a, b\], or a,b$",
    )


def unknown_preset(folder: Path) -> Case:
    return Case(
        "train",
        ("--preset", "minilm"),
        r"no preset 'minilm': give one of bert_full, .*, or a YAML file that exists$",
    )


def useless_dimension(folder: Path) -> Case:
    return Case(
        "sweep",
        ("--preset", "minilm_full"),
        r"spaces/lora\.yaml:9: model\.lora_rank has no effect with model\.adaptation=full: set .*",
    )


def dead_server(folder: Path) -> Case:
    with create_server(("127.0.0.1", 0)) as socket:
        address = f"http://127.0.0.1:{socket.getsockname()[1]}"
    message = rf"tracking server {address} does not answer .*: start it, or set MLFLOW_TRACKING_URI"
    return Case("promote", (), message, opens_a_run=False, env={"MLFLOW_TRACKING_URI": address})


MAKERS = (
    short_line,
    unknown_tag,
    empty_split,
    ragged_jsonl,
    no_such_file,
    missing_backbone,
    wrong_type,
    wrong_name,
    wrong_key,
    two_values,
    broken_list,
    unknown_preset,
    useless_dimension,
    dead_server,
)


def runs(store: str) -> dict[str, str]:
    mlflow.set_tracking_uri(store)
    records = mlflow.search_runs(search_all_experiments=True, output_format="list")
    return {run.info.run_id: run.info.status for run in records}


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_bad_input_ends_in_one_line(
    store: str, tmp_path: Path, make: Callable[[Path], Case]
) -> None:
    case = make(tmp_path)
    before = runs(store)
    done = entry_point(
        store, case.step, *case.arguments, env={"MLFLOW_EXPERIMENT_NAME": "here", **case.env}
    )
    assert done.returncode == case.status, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert re.search(case.message, errors[0]), errors[0]
    assert "Traceback" not in done.stderr
    after = runs(store)
    new = {run_id: after[run_id] for run_id in after.keys() - before.keys()}
    # No other run: it is refused before data is prepared.
    assert list(new.values()) == ["FAILED"] * case.opens_a_run
    assert mlflow.MlflowClient().search_registered_models() == []


def test_a_data_run_of_another_schema_is_refused(
    store: str, tmp_path: Path, tiny_preset: Path
) -> None:
    env = {"MLFLOW_EXPERIMENT_NAME": "here"}
    (tmp_path / "train.conll").write_text(
        "".join(f"word{index}\tO\nAcme\tB-Company\n\n" for index in range(40))
    )
    other = entry_point(store, "data", "--dataset", str(tmp_path), "--label_map", "keep", env=env)
    assert other.returncode == 0, other.stderr
    data_run = other.stdout.split("in run ")[1].split()[0]
    trained = entry_point(
        store,
        "train",
        "--preset",
        str(tiny_preset),
        "--epochs",
        "1",
        "--data_run",
        sample_run(store),
        env=env,
    )
    assert trained.returncode == 0, trained.stderr
    refused = entry_point(store, "evaluate", "--data_run", data_run, env=env)
    assert refused.returncode == 1
    assert (
        f"error: data run {data_run} has the types Company, the model ERROR, HARDWARE, OS, "
        "SOFTWARE, VERSION: give data prepared with" in refused.stderr
    )


def test_a_data_run_of_another_format_is_refused(
    store: str, tmp_path: Path, tiny_preset: Path
) -> None:
    env = {"MLFLOW_EXPERIMENT_NAME": "here"}
    run_id = sample_run(store)
    mlflow.set_tracking_uri(store)
    schema = dataset_folder(store, run_id) / SCHEMA_FILE
    original = schema.read_text()
    try:
        schema.write_text(original.replace(f'"format": {FORMAT}', '"format": 0'))
        refused = entry_point(
            store, "train", "--preset", str(tiny_preset), "--data_run", run_id, env=env
        )
    finally:
        schema.write_text(original)
    assert refused.returncode == 1
    assert re.search(
        rf"error: .*schema\.json: format 0, this version reads {FORMAT}: run the data step again",
        refused.stderr,
    )


def dataset_folder(store: str, run_id: str) -> Path:
    mlflow.set_tracking_uri(store)
    return Path(str(mlflow.get_run(run_id).info.artifact_uri).removeprefix("file://")) / "dataset"


def sample_run(store: str) -> str:
    done = entry_point(store, "data", env={"MLFLOW_EXPERIMENT_NAME": "here"})
    assert done.returncode == 0, done.stderr
    return done.stdout.split("in run ")[1].split()[0]


def test_a_step_makes_its_missing_input(store: str, tiny_preset: Path) -> None:
    mlflow.set_tracking_uri(store)
    folder = Path(store.removeprefix("sqlite:///")).parent
    mlflow.create_experiment("empty", artifact_location=(folder / "empty").as_uri())
    done = entry_point(
        store,
        "evaluate",
        "--preset",
        str(tiny_preset),
        "--train.epochs",
        "1",
        env={"MLFLOW_EXPERIMENT_NAME": "empty"},
    )
    assert done.returncode == 0, done.stderr
    assert "no finished train run in this experiment: training one" in done.stderr
    assert "no finished data run in this experiment: preparing it" in done.stderr
    steps = [
        run.data.tags["ner.step"]
        for run in mlflow.search_runs(experiment_names=["empty"], output_format="list")
    ]
    assert sorted(steps) == ["data", "evaluate", "train"]


def test_a_name_that_the_registry_refuses_is_refused_before_any_work(store: str) -> None:
    done = entry_point(store, "main", "--alias", "latest", env={"MLFLOW_EXPERIMENT_NAME": "here"})
    assert done.returncode == 1
    assert "error: alias 'latest': must be letters" in done.stderr
    assert "training" not in done.stderr


def test_a_dataset_whose_files_vanished_is_named(store: str, tiny_preset: Path) -> None:
    run_id = sample_run(store)
    mlflow.set_tracking_uri(store)
    shutil.rmtree(dataset_folder(store, run_id))
    done = entry_point(
        store,
        "train",
        "--preset",
        str(tiny_preset),
        "--data_run",
        run_id,
        env={"MLFLOW_EXPERIMENT_NAME": "here"},
    )
    assert done.returncode == 1
    assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1
