"""Hub datasets, from a server on a loopback port.

A process of its own reads them, because the libraries read their settings when they are imported.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from hub_server import HubServer

SCRIPT = """
import json, sys
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.errors import DataError

def answer(dataset, revision):
    try:
        corpus = read_corpus(dataset, revision)
    except DataError as error:
        return str(error)
    return {
        split: [[sentence.tokens, sentence.tags, sentence.origin] for sentence in sentences]
        for split, sentences in corpus.items()
    }

print(json.dumps([answer(*query) for query in json.loads(sys.argv[1])]))
"""
QUERIES = [
    (f"acme/{name}", "main")
    for name in ("ids", "strings", "nothing", "other-splits", "ids-1.0", "two-tests")
] + [("acme/ids", "v9")]
NAMES = ["O", "B-OS", "I-OS"]
ROWS = {
    "train": (["Windows", "10", "x"], [1, 2, 0]),
    "validation": (["Debian"], [1]),
    "test": (["y", "z"], [0, 0]),
}


@dataclass(frozen=True)
class Answers:
    corpora: dict[tuple[str, str], object]
    requests: list[tuple[str, str]]


def publish(
    root: Path, name: str, splits: dict[str, tuple[list[str], list[int]]], as_numbers: bool
) -> None:
    folder = root / "datasets" / "acme" / name / "data"
    folder.mkdir(parents=True)
    tag = ClassLabel(names=NAMES) if as_numbers else Value("string")
    features = Features({"tokens": List(Value("string")), "ner_tags": List(tag)})
    for split, (tokens, ids) in splits.items():
        rows = {
            "tokens": [tokens],
            "ner_tags": [ids if as_numbers else [NAMES[id_] for id_ in ids]],
        }
        Dataset.from_dict(rows, features=features).to_parquet(
            folder / f"{split}-00000-of-00001.parquet"
        )


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    root, home = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("home")
    publish(root, "ids", ROWS, as_numbers=True)
    publish(root, "ids-1.0", ROWS, as_numbers=True)
    publish(root, "strings", ROWS, as_numbers=False)
    publish(
        root,
        "two-tests",
        {"train": ROWS["train"], "test_2020": ROWS["validation"], "test_2021": ROWS["test"]},
        as_numbers=False,
    )
    publish(root, "other-splits", {"extra": ROWS["train"]}, as_numbers=False)
    with HubServer(root) as hub:
        environment = {**hub.environment(home), "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", SCRIPT, json.dumps(QUERIES)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stderr
    return Answers(
        dict(zip(QUERIES, json.loads(done.stdout.splitlines()[-1]), strict=True)), hub.requests
    )


@pytest.mark.parametrize("dataset", ["acme/ids", "acme/strings"])
def test_tags_come_as_strings_whether_the_hub_has_strings_or_class_numbers(
    answers: Answers, dataset: str
) -> None:
    assert answers.corpora[dataset, "main"] == {
        split: [[tokens, [NAMES[id_] for id_ in ids], f"{dataset}, {split}, row 0"]]
        for split, (tokens, ids) in ROWS.items()
    }


@pytest.mark.parametrize("dataset", ["acme/ids", "acme/strings"])
def test_the_files_were_requested_from_the_hub(answers: Answers, dataset: str) -> None:
    assert ("GET", f"/api/datasets/{dataset}/revision/main") in answers.requests
    got = [
        path
        for method, path in answers.requests
        if method == "GET" and path.startswith(f"/datasets/{dataset}/resolve/")
    ]
    assert sorted(path.rpartition("/")[2] for path in got if path.endswith(".parquet")) == [
        "test-00000-of-00001.parquet",
        "train-00000-of-00001.parquet",
        "validation-00000-of-00001.parquet",
    ]


@pytest.mark.parametrize(("dataset", "revision"), [("acme/nothing", "main"), ("acme/ids", "v9")])
def test_an_unknown_id_or_revision_is_one_line(
    answers: Answers, dataset: str, revision: str
) -> None:
    message = answers.corpora[dataset, revision]
    assert isinstance(message, str)
    assert message.startswith(f"dataset {dataset!r}: the hub gave no such dataset (")
    assert "check id, revision and HF_ENDPOINT" in message
    assert "\n" not in message
    assert any(
        f"/datasets/{dataset}/" in path and revision in path.split("/")
        for _, path in answers.requests
    )


def test_splits_without_a_known_name_are_listed(answers: Answers) -> None:
    message = answers.corpora["acme/other-splits", "main"]
    assert (
        message
        == "dataset 'acme/other-splits': none of its splits (extra) is train, validation or test"
    )


def test_an_id_may_hold_a_dot(answers: Answers) -> None:
    assert isinstance(answers.corpora["acme/ids-1.0", "main"], dict)


def test_splits_with_the_same_first_word_are_joined(answers: Answers) -> None:
    corpus = answers.corpora["acme/two-tests", "main"]
    assert isinstance(corpus, dict)
    assert [sentence[0] for sentence in corpus["test"]] == [["Debian"], ["y", "z"]]


def test_a_new_commit_of_a_dataset_changes_the_cache_key(tmp_path: Path) -> None:
    publish(tmp_path / "hub", "ids", ROWS, as_numbers=True)
    code = (
        "import sys\n"
        "from ner_mlflow.config.loading import load_config\n"
        "from ner_mlflow.workflows.data import data_cache_key\n"
        "print(data_cache_key(load_config(overrides={'data.dataset': sys.argv[1]}).data))"
    )
    with HubServer(tmp_path / "hub") as hub:
        environment = {
            **hub.environment(tmp_path / "home"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }

        def key(dataset: str) -> str:
            done = subprocess.run(
                [sys.executable, "-c", code, dataset],
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        first, unknown = key("acme/ids"), key("acme/nothing")
        assert key("acme/ids") == first
        (tmp_path / "hub/datasets/acme/ids/README.md").write_text("Fixed.", encoding="utf-8")
        assert key("acme/ids") != first
        assert key("acme/nothing") == unknown
        assert key("x" * 300)
