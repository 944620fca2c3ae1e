"""The data step adds weakly labelled sentences to train, logs their proof, and trains on them."""

import json
import logging
from pathlib import Path

import mlflow
import pyarrow.parquet as pq
import pytest
import yaml
from llm_server import LlmServer, Request, Response
from pipelines import Finished, write_corpus

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config, PromptConfig
from ner_mlflow.errors import ConfigError, DataError, TrackingError
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.queries import read_run
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.data import TrackedDataset, data_cache_key, load_data, run_data
from ner_mlflow.workflows.pipeline import Pipeline

WORDS = ["cache", "queue", "worker", "proxy", "ticket", "shard", "mirror", "token", "batch", "job"]


def write_texts(path: Path, count: int = 40) -> Path:
    rows = [
        f"The {WORDS[number % 10]} and the {WORDS[number // 10]} fail on Ubuntu {number}.04 now."
        for number in range(count)
    ]
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows), encoding="utf-8")
    return path


def settings(tmp_path: Path, **weak: object) -> Config:
    corpus = tmp_path / "corpus"
    if not corpus.is_dir():
        write_corpus(corpus)
        write_texts(tmp_path / "texts.jsonl")
    values = {"source": str(tmp_path / "texts.jsonl"), "ratio": 0.5, **weak}
    return load_config(
        overrides={"data.dataset": str(corpus)}
        | {f"weak.{name}": value for name, value in values.items()}
    )


def prepare(config: Config) -> TrackedDataset:
    with open_run(Step.DATA, "data") as run:
        return run_data(run, config)


@pytest.mark.usefixtures("store")
def test_train_alone_gains_sentences_and_the_run_holds_their_proof(tmp_path: Path) -> None:
    data = prepare(settings(tmp_path))
    corpus = data.dataset.corpus
    assert {split: len(sentences) for split, sentences in corpus.items()} == {
        "train": 90,
        "validation": 12,
        "test": 12,
    }
    added = corpus["train"][-1]
    assert added.document is not None
    assert added.document.startswith("texts.jsonl:")
    assert "B-OS" in added.tags
    run = read_run(data.run_id)
    assert run.metrics["weak/added"] == run.metrics["changes/train/weak_added"] == 30
    loaded = load_data(data.run_id).dataset
    assert (len(loaded.gold_train), len(loaded.weak_train)) == (60, 30)
    assert loaded.weak_train[-1] == added
    assert run.metrics["weak/rules/validation/OS/precision"] == 1
    assert run.metrics["weak/union/validation/VERSION/recall"] == 1
    assert run.metrics["prepared/train/OS/entities"] == 90
    table = mlflow.load_table("tables/weak_labelers.json", run_ids=[data.run_id])
    assert set(table["labeler"]) == {"rules", "union"}
    names = {item.path for item in mlflow.MlflowClient().list_artifacts(data.run_id)}
    pages = {"weak_labelers.html", "weak_cleaning.html", "weak_skipped.html"}
    assert {"weak_labelers.png", *pages} <= names
    made = yaml.safe_load(mlflow.artifacts.load_text(f"runs:/{data.run_id}/weak_labelers.yaml"))
    assert made["entities_added"] == {"OS": 30, "VERSION": 30}
    assert len(made["labelers"]["rules"]) == 64
    inputs = mlflow.get_run(data.run_id).inputs.dataset_inputs
    assert "corpus weak train" in [each.dataset.name for each in inputs]
    card = mlflow.artifacts.load_text(f"runs:/{data.run_id}/card.html")
    assert "were labelled weakly and added" in card
    assert '<a href="weak_skipped.html">' in card


@pytest.mark.usefixtures("store")
def test_the_card_lists_the_settings_of_weak_supervision_that_were_changed(tmp_path: Path) -> None:
    run_id = prepare(settings(tmp_path, min_precision=0.4)).run_id
    card = mlflow.artifacts.load_text(f"runs:/{run_id}/card.html")
    assert '<th scope="row">weak.min_precision</th><td><code>0.4</code>' in card
    assert "weak.ratio" in card
    assert "weak.seed" not in card
    gold = prepare(settings(tmp_path, source="")).run_id
    assert "weak." not in mlflow.artifacts.load_text(f"runs:/{gold}/card.html")


@pytest.mark.usefixtures("store")
def test_documents_that_were_left_out_are_a_table_for_people_and_for_programs(
    tmp_path: Path,
) -> None:
    config = settings(tmp_path)
    texts = tmp_path / "texts.jsonl"
    lines = texts.read_text(encoding="utf-8") + '{"text": "<b>short</b>"}\n{"text": "cut'
    texts.write_text(lines, encoding="utf-8")
    run_id = prepare(config).run_id
    table = mlflow.load_table("tables/weak_skipped.json", run_ids=[run_id])
    assert table[["reason", "of", "document", "excerpt"]].to_numpy().tolist() == [
        ["not_json", 1, "texts.jsonl:42", '{"text": "cut'],
        ["too_short", 1, "texts.jsonl:41", "<b>short</b>"],
    ]
    page = mlflow.artifacts.load_text(f"runs:/{run_id}/weak_skipped.html")
    assert "&lt;b&gt;short&lt;/b&gt;" in page


@pytest.mark.usefixtures("store")
def test_the_labelled_sentences_are_written_where_other_programs_find_them(tmp_path: Path) -> None:
    output = tmp_path / "labelled"
    data = prepare(settings(tmp_path, output=str(output)))
    rows = pq.read_table(output).to_pylist()
    added = list(data.dataset.weak_train)
    assert [tuple(row["tokens"]) for row in rows] == [sentence.tokens for sentence in added]
    assert [tuple(row["tags"]) for row in rows] == [sentence.tags for sentence in added]
    with pytest.raises(DataError, match=r"labelled exists: name another, or remove it$"):
        prepare(settings(tmp_path, output=str(output)))
    with pytest.raises(DataError, match=r"Spark writes: set weak\.engine=spark"):
        prepare(settings(tmp_path, output="s3a://bucket/labelled"))


@pytest.mark.usefixtures("store")
def test_a_second_gold_corpus_is_scored_too(tmp_path: Path) -> None:
    target = tmp_path / "target.conll"
    target.write_text("Ubuntu\tB-OS\nis\tO\nhere\tO\n", encoding="utf-8")
    data = prepare(settings(tmp_path, gold=str(target)))
    metrics = read_run(data.run_id).metrics
    assert metrics["weak/rules/target/OS/recall"] == 1
    assert metrics["weak/rules/target/OS/coverage"] == 1


def test_a_trained_model_can_be_the_teacher(finished: Finished, tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "texts.jsonl")
    config = finished.config.model_copy(
        update={
            "weak": finished.config.weak.model_copy(
                update={
                    "source": str(texts),
                    "labeler": ("rules", finished.result.train.model_uri),
                    "confidence": 0.0,
                    "min_precision": 0.0,
                }
            )
        }
    )
    data = prepare(config)
    metrics = read_run(data.run_id).metrics
    assert metrics["weak/added"] == 18
    table = mlflow.load_table("tables/weak_labelers.json", run_ids=[data.run_id])
    optimistic = table["note"].str.startswith("optimistic")
    assert set(table[optimistic]["labeler"]) == {"teacher", "union"}
    assert set(table[~optimistic]["labeler"]) == {"rules"}
    assert "weak/teacher/validation/coverage" in metrics
    assert metrics["weak/union/vote/f1"] >= 0


@pytest.mark.usefixtures("store")
def test_a_language_model_can_label_and_is_asked_once(tmp_path: Path) -> None:
    def answer(request: Request, number: int) -> Response:
        if number % 10 == 9:
            return Response("no idea")
        words = request["messages"][-1]["content"].split("Sentence:")[-1].split()
        entities = [{"text": word, "type": "OS"} for word in words if word == "Ubuntu"]
        return Response(json.dumps({"entities": entities[:1]}))

    with LlmServer(answer) as server:
        config = settings(tmp_path, labeler=("prompt",)).model_copy(
            update={"prompt": PromptConfig(base_url=server.base_url, prompts=("zero_shot",))}
        )
        data = prepare(config)
        asked = len(server.requests)
        again = prepare(config)
        assert len(server.requests) == asked
    metrics = read_run(data.run_id).metrics
    assert metrics["weak/prompt/validation/OS/precision"] == 1
    assert metrics["weak/added/OS/entities"] > 20
    assert again.dataset == data.dataset


def test_the_cache_key_follows_texts_rules_and_settings(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "patterns:\n  any: {type: OS, word: 'Ubuntu'}\n",
        encoding="utf-8",
    )
    keys = [
        data_cache_key(settings(tmp_path, source="")),
        data_cache_key(settings(tmp_path)),
        data_cache_key(settings(tmp_path, ratio=0.6)),
        data_cache_key(settings(tmp_path, labeler=(str(rules),))),
    ]
    rules.write_text("patterns:\n  any: {type: OS, word: 'Debian'}\n", encoding="utf-8")
    keys.append(data_cache_key(settings(tmp_path, labeler=(str(rules),))))
    write_texts(tmp_path / "texts.jsonl", 41)
    keys.append(data_cache_key(settings(tmp_path)))
    assert len(set(keys)) == len(keys)
    assert data_cache_key(settings(tmp_path)) == keys[-1]


@pytest.mark.usefixtures("store")
def test_a_reused_data_run_says_that_its_output_is_not_written_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = settings(tmp_path, output=str(tmp_path / "labelled"))
    caplog.set_level(logging.INFO)
    with open_run(Step.MAIN, "main") as parent:
        run_ids = [Pipeline(parent, "any").prepare(config).run_id for _ in range(2)]
    assert run_ids[0] == run_ids[1]
    (line,) = [message for message in caplog.messages if message.startswith("weak.output")]
    output = tmp_path / "labelled"
    assert line == f"weak.output {output}: not written again, since run {run_ids[0]} is reused"


@pytest.mark.usefixtures("store")
def test_two_files_of_rules_are_two_labelers(tmp_path: Path) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text("patterns:\n  any: {type: OS, word: 'Ubuntu'}\n", encoding="utf-8")
    data = prepare(settings(tmp_path, labeler=("rules", str(rules))))
    metrics = read_run(data.run_id).metrics
    assert metrics["weak/mine/validation/OS/precision"] == 1
    assert metrics["weak/union/validation/VERSION/precision"] == 1
    with pytest.raises(ConfigError, match="two are named 'mine': give each once"):
        prepare(settings(tmp_path, labeler=(str(rules), str(rules))))


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["union", "teacher", "a(b)"])
def test_an_unusable_name_is_refused_before_models_are_opened(tmp_path: Path, name: str) -> None:
    rules = tmp_path / f"{name}.yaml"
    rules.write_text("patterns:\n  any: {type: OS, word: 'Ubuntu'}\n", encoding="utf-8")
    (tmp_path / "no model").mkdir()
    config = settings(tmp_path, labeler=(str(rules), str(tmp_path / "no model")))
    message = "two are named 'teacher'" if name == "teacher" else "cannot name a labeler"
    with open_run(Step.DATA, "data") as run, pytest.raises(ConfigError, match=message):
        run_data(run, config, "key")


@pytest.mark.usefixtures("store")
def test_rules_for_other_types_are_refused(tmp_path: Path) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text("patterns:\n  any: {type: CITY, word: 'Rome'}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="finds CITY, but the dataset has ERROR, HARDWARE, OS"):
        prepare(settings(tmp_path, labeler=(str(rules),)))


@pytest.mark.usefixtures("store")
def test_rules_for_a_misspelt_type_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text(
        "patterns:\n  a: {type: OS, word: Ubuntu}\n  b: {type: SOFTWRE, word: Redis}\n",
        encoding="utf-8",
    )
    prepare(settings(tmp_path, labeler=(str(rules),)))
    assert (
        f"weak_labeler {str(rules)!r}: its rules for SOFTWRE are left out, since the dataset has "
        "ERROR, HARDWARE, OS, SOFTWARE, VERSION"
    ) in caplog.messages


@pytest.mark.usefixtures("store")
def test_types_of_the_second_gold_corpus_that_no_one_knows_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "target.conll"
    target.write_text("Ubuntu\tB-system\nis\tO\nhere\tO\n", encoding="utf-8")
    with pytest.raises(DataError, match="does not know: B-system"):
        prepare(settings(tmp_path, gold=str(target)))
    config = settings(tmp_path, gold=str(target))
    data = config.data.model_copy(update={"unknown_tags": "outside"})
    run_id = prepare(config.model_copy(update={"data": data})).run_id
    assert read_run(run_id).metrics["changes/weak_gold/unknown_tags"] == 1


@pytest.mark.usefixtures("store")
def test_an_export_counts_the_words_that_it_cannot_tell_from_others(tmp_path: Path) -> None:
    rules = tmp_path / "mine.yaml"
    text = "patterns:\n  any: {type: OS, word: 'Ubuntu'}\n  job: {type: ERROR, word: 'fail'}\n"
    rules.write_text(text, encoding="utf-8")
    config = settings(tmp_path, labeler=(str(rules),))
    data = config.data.model_copy(update={"format": "conll"})
    run_id = prepare(config.model_copy(update={"data": data})).run_id
    metrics = read_run(run_id).metrics
    assert metrics["weak/added/unsure_words"] == metrics["changes/train/weak_words_exported"] == 30


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("name", "value"), [("source", "none.jsonl"), ("gold", "none.conll")], ids=["source", "gold"]
)
def test_a_path_that_is_not_there_is_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(DataError, match=value):
        prepare(settings(tmp_path, **{name: str(tmp_path / value)}))


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("labeler", "error"),
    [("none.yaml", ConfigError), ("runs:/" + "0" * 32, TrackingError)],
)
def test_a_labeler_that_is_not_there_is_refused_by_name(
    tmp_path: Path, labeler: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=labeler.removeprefix("runs:/")[:9]):
        prepare(settings(tmp_path, labeler=(labeler,)))
