"""Distillation: teachers are queried once, the student follows them, and only confident sentences
are added."""

import json
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.data.dataset import PreparedDataset, fingerprint
from ner_mlflow.data.pieces import cut_sentence
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.errors import ModelError
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.cache import TrainingCache
from ner_mlflow.modeling.checkpoint import load_model
from ner_mlflow.modeling.dataset import TrainingData
from ner_mlflow.modeling.distillation import (
    distillation_targets,
    pseudo_label,
    unlabelled_sentences,
)
from ner_mlflow.modeling.fit import fit
from ner_mlflow.modeling.objective import Distillation
from ner_mlflow.modeling.predict import torch_tagger
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.provenance import file_sha256
from ner_mlflow.tagging.ensemble import mean_log_probabilities
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tagging.tagger import Tagger

SCHEMA = LabelSchema(("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION"))
SAMPLE = generate_sample(13)
CORPUS = {
    "train": SAMPLE["train"][:300],
    "validation": SAMPLE["validation"][:30],
    "test": SAMPLE["test"][:30],
}
DATASET = PreparedDataset("tiny", CORPUS, SCHEMA, fingerprint(CORPUS, SCHEMA))
TRAIN = [cut_sentence(sentence) for sentence in CORPUS["train"]]


@dataclass(frozen=True)
class TrainedTeacher:
    """A teacher as the tracking store would return it."""

    folder: Path
    address: str = "the teacher"

    @cached_property
    def fingerprint(self) -> str:
        return file_sha256(self.folder / "model.safetensors")

    def tagger(self) -> Tagger:
        checkpoint = load_model(self.folder)
        return torch_tagger(checkpoint.network, checkpoint.tokenizer, checkpoint.spec)


def config_of(backbone: Path, **overrides: object) -> Config:
    small = {
        "model.backbone": str(backbone),
        "model.max_length": 64,
        "train.learning_rate": 3e-3,
        "train.batch_size": 16,
        "train.epochs": 4,
    }
    return load_config(overrides={**small, **overrides})


def train(
    backbone: Path, folder: Path, distillation: Distillation | None = None, **overrides: object
) -> TrainedTeacher:
    config = config_of(backbone, **overrides)
    model = build_model(resolve_backbone(str(backbone)), config.model, SCHEMA, config.train.seed)
    data = TrainingData(CORPUS["train"], CORPUS["validation"], SCHEMA, distillation)
    return TrainedTeacher(fit(model, data, config.train, folder).model_folder)


@pytest.fixture(scope="module")
def teachers(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> list[TrainedTeacher]:
    return [
        train(tiny_backbone, tmp_path_factory.mktemp(f"teacher{seed}"), **{"train.seed": seed})
        for seed in (1, 2)
    ]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def with_texts(backbone: Path, path: Path, **overrides: object) -> Config:
    """Return settings with unlabelled texts and no limit of confidence."""
    distill = {
        "distill.teachers": ["any"],
        "distill.unlabelled": str(path),
        "distill.confidence": 0.0,
    }
    return config_of(backbone, **{**distill, **overrides})


def test_the_targets_are_the_mean_of_the_teachers_probabilities(
    tiny_backbone: Path, teachers: list[TrainedTeacher]
) -> None:
    targets = distillation_targets(config_of(tiny_backbone).distill, teachers, DATASET, TRAIN)
    words = [sentence.tokens for sentence in TRAIN]
    for mean, first, second in zip(
        targets.distillation.log_probabilities,
        *(teacher.tagger().log_probabilities(words) for teacher in teachers),
        strict=True,
    ):
        np.testing.assert_allclose(np.exp(mean), (np.exp(first) + np.exp(second)) / 2, atol=1e-5)


def test_predictions_are_read_from_disk_when_the_teachers_are_the_same(
    tiny_backbone: Path, teachers: list[TrainedTeacher], tmp_path: Path
) -> None:
    config = config_of(tiny_backbone).distill
    copies = [
        TrainedTeacher(shutil.copytree(teacher.folder, tmp_path / str(number)))
        for number, teacher in enumerate(teachers)
    ]
    first = distillation_targets(config, copies, DATASET, TRAIN)
    for copy in copies:  # they cannot be queried again
        shutil.rmtree(copy.folder)
    second = distillation_targets(config, copies, DATASET, TRAIN)
    for a, b in zip(
        first.distillation.log_probabilities, second.distillation.log_probabilities, strict=True
    ):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ModelError):
        distillation_targets(config, copies[:1], DATASET, TRAIN)


@pytest.mark.parametrize("kept", [200, 0], ids=["cut short", "empty"])
def test_damaged_predictions_are_computed_again(
    kept: int,
    tiny_backbone: Path,
    teachers: list[TrainedTeacher],
    cache_folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = config_of(tiny_backbone).distill
    first = distillation_targets(config, teachers, DATASET, TRAIN)
    (file,) = cache_folder.rglob("*.npz")
    file.write_bytes(file.read_bytes()[:kept])
    second = distillation_targets(config, teachers, DATASET, TRAIN)
    assert f"{file} is damaged (" in caplog.text
    for a, b in zip(
        first.distillation.log_probabilities, second.distillation.log_probabilities, strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_trials_share_targets_and_keep_their_own_weight_and_temperature(
    tiny_backbone: Path, teachers: list[TrainedTeacher], cache_folder: Path
) -> None:
    cache = TrainingCache()
    config = config_of(tiny_backbone).distill
    first = distillation_targets(config, teachers, DATASET, TRAIN, cache)
    shutil.rmtree(cache_folder)
    other = config.model_copy(update={"weight": 0.25, "temperature": 4.0})
    second = distillation_targets(other, teachers, DATASET, TRAIN, cache)
    assert second.distillation.log_probabilities is first.distillation.log_probabilities
    assert (second.distillation.weight, second.distillation.temperature) == (0.25, 4.0)
    assert not cache_folder.exists()


def test_trials_that_train_on_other_sentences_have_their_own_targets(
    tiny_backbone: Path, teachers: list[TrainedTeacher]
) -> None:
    cache = TrainingCache()
    config = config_of(tiny_backbone).distill
    distillation_targets(config, teachers, DATASET, TRAIN, cache)
    others = TRAIN[:20]
    targets = distillation_targets(config, teachers, DATASET, others, cache)
    assert targets.sentences == others
    lengths = [len(values) for values in targets.distillation.log_probabilities]
    assert lengths == [len(sentence.tokens) for sentence in others]


def test_two_trials_that_start_together_query_the_teachers_once(
    tiny_backbone: Path, teachers: list[TrainedTeacher], caplog: pytest.LogCaptureFixture
) -> None:
    config = config_of(tiny_backbone).distill
    with caplog.at_level(logging.INFO), ThreadPoolExecutor() as pool:
        trials = [
            pool.submit(distillation_targets, config, teachers, DATASET, TRAIN) for _ in range(2)
        ]
        assert all(trial.result().sentences for trial in trials)
    messages = [record.getMessage() for record in caplog.records]
    assert sum("querying" in message for message in messages) == 1
    assert sum("read the teachers' predictions" in message for message in messages) == 1


def test_a_student_that_learns_from_the_teacher_alone_predicts_as_the_teacher(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    os_label = np.array(SCHEMA.labels) == "B-OS"
    probabilities = np.where(os_label, 0.9, 0.1 / (len(SCHEMA.labels) - 1))
    scores = [
        np.tile(np.log(probabilities).astype(np.float32), (len(sentence.tokens), 1))
        for sentence in CORPUS["train"]
    ]
    student = train(tiny_backbone, tmp_path, Distillation(scores, weight=1.0, temperature=2.0))
    predicted = student.tagger().log_probabilities([sentence.tokens for sentence in CORPUS["test"]])
    mean = np.exp(np.concatenate(predicted)).mean(axis=0)
    np.testing.assert_allclose(mean, probabilities, atol=0.1)


def test_new_unlabelled_sentences_are_added_and_those_of_the_dataset_are_not(
    tiny_backbone: Path, teachers: list[TrainedTeacher], tmp_path: Path
) -> None:
    in_test = " ".join(CORPUS["test"][0].tokens)
    texts = tmp_path / "texts.jsonl"
    texts.write_text(
        "\n".join(
            json.dumps({"text": text})
            for text in ("we met at noon", "we met at noon", "we wait \ud800", in_test)
        ),
        encoding="utf-8",
    )
    config = with_texts(tiny_backbone, texts)
    targets = distillation_targets(config.distill, teachers, DATASET, TRAIN)
    added = targets.sentences[len(CORPUS["train"]) :]
    assert [sentence.tokens for sentence in added] == [
        ("we", "met", "at", "noon"),
        ("we", "wait", "\ufffd"),
    ]
    assert [len(scores) for scores in targets.distillation.log_probabilities] == [
        len(sentence.tokens) for sentence in targets.sentences
    ]
    limited = with_texts(tiny_backbone, texts, **{"distill.unlabelled_limit": 1})
    assert distillation_targets(limited.distill, teachers, DATASET, TRAIN).metrics == {
        "distill/unlabelled_sentences": 1.0,
        "distill/confident_sentences": 1.0,
    }


def test_a_sentence_is_as_confident_as_its_least_certain_word() -> None:
    labels = ("O", "B-OS", "I-OS")
    certain = np.log([[0.98, 0.01, 0.01], [0.04, 0.95, 0.01]]).astype(np.float32)
    uncertain = np.log([[0.98, 0.01, 0.01], [0.5, 0.4, 0.1]]).astype(np.float32)
    sentences = [
        Sentence(("on", "Linux"), ("O", "O"), "a mail"),
        Sentence(("on", "Windows"), ("O", "O"), "a mail"),
    ]
    assert pseudo_label(sentences, [certain, uncertain], labels, 0.9) == [
        (0, Sentence(("on", "Linux"), ("O", "B-OS"), "a mail"))
    ]
    assert len(pseudo_label(sentences, [certain, uncertain], labels, 0.3)) == 2


def test_a_teacher_sees_the_neighbours_of_an_unlabelled_sentence_in_its_text(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("We use Linux . It crashed .\nNobody came .\n", encoding="utf-8")
    config = with_texts(tiny_backbone, texts)
    sentences = unlabelled_sentences(config.distill, DATASET)
    first, second, third = (sentence.document for sentence in sentences)
    assert first == second != third
    teacher = train(tiny_backbone, tmp_path, **{"model.context_subwords": 16, "train.epochs": 1})
    targets = distillation_targets(config.distill, [teacher], DATASET, TRAIN)
    scores = np.concatenate(targets.distillation.log_probabilities[len(CORPUS["train"]) :])
    words = [sentence.tokens for sentence in sentences]
    apart, one_document = (
        np.concatenate(teacher.tagger().log_probabilities(words, documents))
        for documents in ([first, second, third], [first] * 3)
    )
    np.testing.assert_allclose(scores, apart, atol=1e-4)
    assert np.abs(scores - one_document).max() > 1e-3


def test_a_teacher_with_other_labels_is_refused(
    tiny_backbone: Path, teachers: list[TrainedTeacher]
) -> None:
    other = LabelSchema(("OS",))
    corpus = {split: [Sentence(("Linux",), ("B-OS",))] for split in ("train", "validation", "test")}
    dataset = PreparedDataset("other", corpus, other, fingerprint(corpus, other))
    message = r"teacher the teacher has the labels O, B-ERROR.*, not O, B-OS, I-OS: give another"
    with pytest.raises(ModelError, match=message):
        distillation_targets(config_of(tiny_backbone).distill, teachers, dataset, corpus["train"])


def test_the_mean_of_one_teacher_is_its_own_prediction(teachers: list[TrainedTeacher]) -> None:
    tagger = teachers[0].tagger()
    words = [("we", "use", "Java")]
    np.testing.assert_allclose(
        mean_log_probabilities([tagger], words)[0], tagger.log_probabilities(words)[0], atol=1e-6
    )
