"""Hub datasets, from a server on a loopback port.

A process of its own reads them, because the libraries read their settings when they are imported.
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, LargeList, List, Value
from hub_server import HubServer

SCRIPT = """
import json, sys
from ner_mlflow.config.loading import load_config
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.errors import DataError

def answer(settings):
    overrides = {f"data.{name}": value for name, value in settings.items()}
    try:
        reading = read_corpus(load_config(overrides=overrides).data)
    except DataError as error:
        return str(error)
    corpus = {
        split: [[sentence.tokens, sentence.tags, sentence.origin] for sentence in sentences]
        for split, sentences in reading.corpus.items()
    }
    return [corpus, [str(finding) for finding in reading.findings]]

print(json.dumps([answer(settings) for settings in json.loads(sys.argv[1])]))
"""
NAMES = ["O", "B-OS", "I-OS"]
ROWS = {
    "train": (["Windows", "10", "x"], [1, 2, 0]),
    "validation": (["Debian"], [1]),
    "test": (["y", "z"], [0, 0]),
}
CONFIGS = """---
configs:
- config_name: de
  data_files: [{split: train, path: de/train-*}, {split: test, path: de/test-*}]
- config_name: en
  data_files: [{split: train, path: en/train-*}, {split: test, path: en/test-*}]
---
"""
LANGUAGES = """---
configs:
- config_name: default
  data_files:
  - {split: train_en, path: data/train_en-*}
  - {split: train_de, path: data/train_de-*}
  - {split: test_de, path: data/test_de-*}
  - {split: dev_test, path: data/dev_test-*}
---
"""
QUERIES: dict[str, dict[str, str | list[str]]] = {
    "numbers": {"dataset": "acme/ids"},
    "strings": {"dataset": "acme/strings"},
    "a dot": {"dataset": "acme/ids-1.0"},
    "nothing": {"dataset": "acme/nothing"},
    "no revision": {"dataset": "acme/ids", "revision": "v9"},
    "other splits": {"dataset": "acme/other-splits"},
    "years": {"dataset": "acme/two-tests"},
    "no config": {"dataset": "acme/configs"},
    "unknown config": {"dataset": "acme/configs:fr"},
    "config": {"dataset": "acme/configs:en"},
    "unknown config of one": {"dataset": "acme/ids:fr"},
    "folders": {"dataset": "acme/folders"},
    "folder": {"dataset": "acme/folders:en"},
    "languages": {"dataset": "acme/languages"},
    "languages chosen": {
        "dataset": "acme/languages",
        "splits": ["train_en=train", "train_de=train", "test_de=test"],
    },
    "unknown split": {"dataset": "acme/languages", "splits": ["train_fr=train"]},
    "names of another column": {"dataset": "acme/other-names"},
    "ids": {"dataset": "acme/tner"},
    "no such names": {"dataset": "acme/tner", "tag_names": "label2id.json"},
    "file of names": {"dataset": "acme/tner", "tag_names": "dataset/label.json"},
    "list of names": {"dataset": "acme/tner", "tag_names": "O,B-OS,I-OS"},
    "card": {"dataset": "acme/card"},
    "names of the card": {"dataset": "acme/card", "tag_names": "README.md"},
    "texts with spans": {"dataset": "acme/texts"},
    "format of rows": {"dataset": "acme/texts", "source_format": "conll"},
    "script": {"dataset": "acme/script"},
    "gated": {"dataset": "acme/gated"},
    "empty": {"dataset": "acme/empty"},
    "misfits": {"dataset": "acme/misfits"},
    "long lists": {"dataset": "acme/long-lists"},
    "no tokens": {"dataset": "acme/no-tokens"},
}
"""A name for each reading, and its settings."""


@dataclass(frozen=True)
class Answers:
    """What was read, or the error, by the name of the reading."""

    answers: dict[str, str | list[Any]]
    requests: list[tuple[str, str]]

    def corpus(self, query: str) -> dict[str, list[Any]]:
        answer = self.answers[query]
        assert not isinstance(answer, str), answer
        return answer[0]  # type: ignore[no-any-return]

    def words(self, query: str) -> dict[str, list[str]]:
        return {
            split: [" ".join(tokens) for tokens, _, _ in sentences]
            for split, sentences in self.corpus(query).items()
        }

    def findings(self, query: str) -> list[str]:
        return list(self.answers[query][1])

    def error(self, query: str) -> str:
        answer = self.answers[query]
        assert isinstance(answer, str), answer
        assert "\n" not in answer
        return answer


def publish(
    root: Path,
    name: str,
    splits: dict[str, tuple[list[str], list[int]]],
    as_numbers: bool,
    folder: str = "data",
) -> Path:
    repository = root / "datasets" / "acme" / name
    (repository / folder).mkdir(parents=True)
    tag = ClassLabel(names=NAMES) if as_numbers else Value("string")
    features = Features({"tokens": List(Value("string")), "ner_tags": List(tag)})
    for split, (tokens, ids) in splits.items():
        rows = {
            "tokens": [tokens],
            "ner_tags": [ids if as_numbers else [NAMES[id_] for id_ in ids]],
        }
        Dataset.from_dict(rows, features=features).to_parquet(
            repository / folder / f"{split}-00000-of-00001.parquet"
        )
    return repository


def publish_texts(root: Path, name: str, **texts: str) -> None:
    """Publish text files; ``__`` stands for a slash in their names, and ``_`` for a dot."""
    for path, text in texts.items():
        file = root / "datasets" / "acme" / name / path.replace("__", "/").replace("_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def publish_all(root: Path) -> None:
    publish(root, "ids", ROWS, as_numbers=True)
    publish(root, "ids-1.0", ROWS, as_numbers=True)
    publish(root, "strings", ROWS, as_numbers=False)
    publish(root, "gated", ROWS, as_numbers=False)
    publish(root, "other-splits", {"extra": ROWS["train"]}, as_numbers=False)
    publish(
        root,
        "two-tests",
        {"train": ROWS["train"], "test_2020": ROWS["validation"], "test_2021": ROWS["test"]},
        as_numbers=False,
    )
    for name, card in (("configs", CONFIGS), ("folders", "")):
        for language, words in (("de", ["Rechner"]), ("en", ["computer"])):
            rows = {"train": (words, [0]), "test": (words, [1])}
            publish(root, name, rows, as_numbers=True, folder=language)
        if card:
            publish_texts(root, name, README_md=card)
    publish(
        root,
        "languages",
        {
            "train_en": (["computer"], [0]),
            "train_de": (["Rechner"], [0]),
            "test_de": (["Debian"], [1]),
            "dev_test": (["Ubuntu"], [1]),
        },
        as_numbers=True,
    )
    publish_texts(root, "languages", README_md=LANGUAGES)
    numbers = {"tokens": List(Value("string")), "ner_tags": List(Value("int64"))}
    other = Features({**numbers, "labels": List(ClassLabel(names=["B-VERB", "B-NOUN", "O"]))})
    row = {"tokens": [["Ubuntu"]], "ner_tags": [[1]], "labels": [[1]]}
    (root / "datasets/acme/other-names").mkdir()
    Dataset.from_dict(row, features=other).to_parquet(
        root / "datasets/acme/other-names/train.parquet"
    )
    long = Features(
        {
            "labels": List(ClassLabel(names=["x"])),
            "tokens": LargeList(Value("large_string")),
            "tags": LargeList(ClassLabel(names=NAMES)),
        }
    )
    row = {"labels": [[0]], "tokens": [["Ubuntu"]], "tags": [[1]]}
    (root / "datasets/acme/long-lists").mkdir()
    Dataset.from_dict(row, features=long).to_parquet(
        root / "datasets/acme/long-lists/train.parquet"
    )
    line = json.dumps({"tokens": ["Ubuntu", "pc"], "tags": [1, 0]}) + "\n"
    names = json.dumps({name: number for number, name in enumerate(NAMES)})
    publish_texts(
        root,
        "tner",
        dataset__train_json=line,
        dataset__valid_json=line,
        dataset__test_json=line,
        dataset__label_json=names,
    )
    card = f"---\nid2label: {dict(enumerate(NAMES))}\n---\n"
    publish_texts(root, "card", train_json=line, README_md=card)
    publish_texts(root, "script", script_py="raise SystemExit(1)\n")
    publish_texts(root, "empty", README_md="Nothing yet.\n")
    publish_texts(root, "misfits", train_jsonl=line, test_jsonl='{"other": 1}\n')
    text = json.dumps({"text": "Ubuntu on a pc", "label": [[0, 6, "OS"]]}) + "\n"
    publish_texts(root, "texts", train_jsonl=text)
    publish_texts(root, "no-tokens", train_jsonl='{"prompt": "a", "answer": "b"}\n')


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    root, home = tmp_path_factory.mktemp("hub"), tmp_path_factory.mktemp("home")
    publish_all(root)
    with HubServer(root, gated={"acme/gated"}) as hub:
        environment = {**hub.environment(home), "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", SCRIPT, json.dumps(list(QUERIES.values()))]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
    assert done.returncode == 0, done.stderr
    return Answers(
        dict(zip(QUERIES, json.loads(done.stdout.splitlines()[-1]), strict=True)), hub.requests
    )


@pytest.mark.parametrize("query", ["numbers", "strings"])
def test_tags_come_as_strings_whether_the_hub_has_strings_or_class_numbers(
    answers: Answers, query: str
) -> None:
    dataset = QUERIES[query]["dataset"]
    assert answers.corpus(query) == {
        split: [[tokens, [NAMES[id_] for id_ in ids], f"{dataset}, {split}, row 0"]]
        for split, (tokens, ids) in ROWS.items()
    }
    assert answers.findings(query) == [
        f"test: splits that hold no entity, as if their labels were withheld: 1 ({dataset}, test)"
    ]


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


@pytest.mark.parametrize("query", ["nothing", "no revision"])
def test_an_unknown_id_or_revision_is_one_line(answers: Answers, query: str) -> None:
    dataset, revision = QUERIES[query]["dataset"], QUERIES[query].get("revision", "main")
    message = answers.error(query)
    assert message.startswith(f"dataset {dataset!r}: the hub gave no such dataset (")
    assert "check id, revision and HF_ENDPOINT" in message
    assert f"as a path it is {Path(str(dataset)).absolute()}, which does not exist" in message
    assert any(
        f"/datasets/{dataset}/" in path and revision in path.split("/")
        for _, path in answers.requests
    )


def test_splits_without_a_known_name_are_listed(answers: Answers) -> None:
    assert answers.error("other splits") == (
        "dataset 'acme/other-splits': none of its splits (extra) is named after train, validation "
        "or test: assign them by splits=extra=train"
    )


def test_an_id_may_hold_a_dot(answers: Answers) -> None:
    assert answers.corpus("a dot")


def test_a_dataset_of_several_configurations_needs_one(answers: Answers) -> None:
    assert answers.error("no config") == (
        "dataset 'acme/configs': several configurations, de, en: choose one: "
        "dataset=acme/configs:de"
    )
    assert answers.error("unknown config") == (
        "dataset 'acme/configs:fr': no configuration 'fr' among de, en: choose one: "
        "dataset=acme/configs:de"
    )
    assert answers.words("config") == {"train": ["computer"], "test": ["computer"]}
    assert answers.corpus("config")["test"][0][1:] == [["B-OS"], "acme/configs:en, test, row 0"]
    assert "choose one: dataset=acme/ids" in answers.error("unknown config of one")


def test_folders_that_no_card_lists_are_not_merged(answers: Answers) -> None:
    assert answers.error("folders") == (
        "dataset 'acme/folders': the hub makes its split train of 2 files "
        "(de/train-00000-of-00001.parquet, en/train-00000-of-00001.parquet) that are not numbered "
        "shards of one: choose a folder: dataset=acme/folders:de"
    )
    assert answers.words("folder") == {"train": ["computer"], "test": ["computer"]}


def test_one_split_a_language_is_not_one_split(answers: Answers) -> None:
    assert answers.error("languages") == (
        "dataset 'acme/languages': 2 of its splits are train by their names (train_en, train_de): "
        "choose by splits=train_en=train,test_de=test"
    )
    assert "2 of its splits are test by their names (test_2020, test_2021)" in (
        answers.error("years")
    )


def test_the_setting_splits_chooses_splits_of_the_hub(answers: Answers) -> None:
    assert answers.words("languages chosen") == {
        "train": ["computer", "Rechner"],
        "test": ["Debian"],
    }
    assert answers.findings("languages chosen")[:1] == [
        "hub splits that belong to none of train, validation and test: 1 "
        "(acme/languages, dev_test (the setting splits names others))"
    ]
    assert answers.error("unknown split") == (
        "splits: no split 'train_fr' in dataset 'acme/languages': choose among "
        "train_en, train_de, test_de, dev_test"
    )


def test_numbers_are_not_named_by_another_column(answers: Answers) -> None:
    assert "is a number without a name" in answers.error("names of another column")


def test_numbers_in_long_lists_are_named_by_their_own_column(answers: Answers) -> None:
    assert answers.corpus("long lists")["train"][0][:2] == [["Ubuntu"], ["B-OS"]]


def test_numbers_whose_names_lie_in_the_repository_are_refused_with_their_file(
    answers: Answers,
) -> None:
    assert answers.error("ids") == (
        "dataset 'acme/tner': the tags in 'tags' are numbers, and the column does not name them: "
        "give tag_names=dataset/label.json, a file of the dataset"
    )
    assert "give tag_names=README.md" in answers.error("card")
    assert answers.error("no such names").startswith(
        "tag_names 'label2id.json': no such file here or in dataset 'acme/tner': give one of "
        "dataset/label.json"
    )


def test_numbers_are_named_by_a_file_of_the_repository_or_a_list(answers: Answers) -> None:
    for query in ("file of names", "list of names", "names of the card"):
        assert answers.corpus(query)["train"][0][:2] == [["Ubuntu", "pc"], ["B-OS", "O"]], query


def test_texts_with_spans_are_read_from_the_hub(answers: Answers) -> None:
    assert answers.corpus("texts with spans")["train"][0] == [
        ["Ubuntu", "on", "a", "pc"],
        ["B-OS", "O", "O", "O"],
        "acme/texts, train, row 0",
    ]
    assert "source_format=conll is a format of files" in answers.error("format of rows")


def test_scripts_are_never_run(answers: Answers) -> None:
    message = answers.error("script")
    assert "it is a script, and scripts of datasets are never run" in message
    assert "give revision=refs/convert/parquet" in message


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("gated", r"its access is gated \(.*\): ask for access on its page, and set HF_TOKEN"),
        ("empty", r"its repository holds no data files that can be read \("),
        ("misfits", r"its files do not fit together \(.*\): download them and give their folder"),
        ("no tokens", r"fields 'prompt', 'answer' are of no known format of rows \("),
    ],
)
def test_what_cannot_be_read_is_told_with_the_way_out(
    answers: Answers, query: str, message: str
) -> None:
    assert re.search(message, answers.error(query))


def test_without_a_connection_the_way_out_is_told(tmp_path: Path) -> None:
    with HubServer(tmp_path) as hub:
        environment = {**hub.environment(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    queries = json.dumps([{"dataset": "acme/ids"}])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, queries],
        env={**environment, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (message,) = json.loads(done.stdout.splitlines()[-1])
    assert "the hub cannot be reached, and the dataset is not in the cache (" in message
    assert "check the network, HF_ENDPOINT and HF_HUB_OFFLINE, or give a folder" in message


def test_a_new_commit_of_a_dataset_changes_the_cache_key(tmp_path: Path) -> None:
    publish(tmp_path / "hub", "ids", ROWS, as_numbers=True)
    code = (
        "import sys\n"
        "from ner_mlflow.config.loading import load_config\n"
        "from ner_mlflow.workflows.data import data_cache_key\n"
        "for name in sys.argv[1:]:\n"
        "    print(data_cache_key(load_config(overrides={'data.dataset': name})))"
    )
    with HubServer(tmp_path / "hub") as hub:
        environment = {
            **hub.environment(tmp_path / "home"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }

        def keys(*datasets: str) -> list[str]:
            done = subprocess.run(
                [sys.executable, "-c", code, *datasets],
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout.split()

        first, unknown, of_config = keys("acme/ids", "acme/nothing", "acme/ids:default")
        assert keys("acme/ids") == [first]
        (tmp_path / "hub/datasets/acme/ids/README.md").write_text("Fixed.", encoding="utf-8")
        changed = keys("acme/ids", "acme/ids:default", "acme/nothing", "x" * 300)
        assert changed[0] != first
        assert changed[1] != of_config
        assert changed[2] == unknown
        assert len(changed) == 4
