"""Distillation: teachers are asked once, their words reach the student, and only confident unlabelled sentences are used."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.data.dataset import PreparedDataset, fingerprint
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.errors import ModelError
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.checkpoint import load_model
from ner_mlflow.modeling.fit import fit
from ner_mlflow.modeling.objective import Distillation
from ner_mlflow.modeling.predict import torch_tagger
from ner_mlflow.paths import CACHE_VARIABLE
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tracking.models import FoundModel
from ner_mlflow.workflows import distillation as module
from ner_mlflow.workflows.distillation import mean_log_probabilities, pseudo_labelled, teach

SCHEMA = LabelSchema(("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION"))
SAMPLE = generate_sample(13)
CORPUS = {
    "train": SAMPLE["train"][:300],
    "validation": SAMPLE["validation"][:30],
    "test": SAMPLE["test"][:30],
}
DATASET = PreparedDataset("tiny", CORPUS, SCHEMA, fingerprint(CORPUS, SCHEMA))


def config_of(backbone: Path, **overrides: object) -> Config:
    small = {
        "model.backbone": str(backbone),
        "model.max_length": 64,
        "train.learning_rate": 3e-3,
        "train.batch_size": 16,
        "train.epochs": 4,
    }
    return load_config(overrides={**small, **overrides})


def trained(
    backbone: Path, folder: Path, distillation: Distillation | None = None, **overrides: object
) -> FoundModel:
    config = config_of(backbone, **overrides)
    model = build_model(resolve_backbone(str(backbone)), config.model, SCHEMA, config.train.seed)
    result = fit(
        model,
        CORPUS["train"],
        CORPUS["validation"],
        SCHEMA,
        config.train,
        folder,
        lambda *_: None,
        distillation,
    )
    return FoundModel(result.model_folder, str(folder))


@pytest.fixture(scope="module")
def teachers(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> list[FoundModel]:
    return [
        trained(tiny_backbone, tmp_path_factory.mktemp(f"teacher{seed}"), **{"train.seed": seed})
        for seed in (1, 2)
    ]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_lesson_is_the_mean_of_the_teachers_and_is_read_from_the_cache_again(
    tiny_backbone: Path, teachers: list[FoundModel], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tiny_backbone).distill
    lesson = teach(config, teachers, DATASET)
    assert lesson.distillation is not None
    taggers = []
    for teacher in teachers:
        checkpoint = load_model(teacher.folder)
        taggers.append(torch_tagger(checkpoint.network, checkpoint.tokenizer, checkpoint.spec))
    words = [sentence.tokens for sentence in CORPUS["train"]]
    for said, first, second in zip(
        lesson.distillation.log_probabilities,
        *(tagger.log_probabilities(words) for tagger in taggers),
        strict=True,
    ):
        np.testing.assert_allclose(np.exp(said), (np.exp(first) + np.exp(second)) / 2, atol=1e-5)
    assert len(list(cache.rglob("*.npz"))) == 1

    def asked_again(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(module, "mean_log_probabilities", asked_again)
    again = teach(config, teachers, DATASET)
    assert again.distillation is not None
    for a, b in zip(
        again.distillation.log_probabilities, lesson.distillation.log_probabilities, strict=True
    ):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(AssertionError):  # other teachers are asked
        teach(config, teachers[:1], DATASET)


def test_a_student_of_nothing_but_a_teacher_says_what_it_says(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    odd = np.log(
        np.where(np.array(SCHEMA.labels) == "B-OS", 0.9, 0.1 / (len(SCHEMA.labels) - 1))
    ).astype(np.float32)
    said = [np.tile(odd, (len(sentence.tokens), 1)) for sentence in CORPUS["train"]]
    student = load_model(
        trained(tiny_backbone, tmp_path, Distillation(said, weight=1.0, temperature=2.0)).folder
    )
    scores = torch_tagger(student.network, student.tokenizer, student.spec).log_probabilities(
        [sentence.tokens for sentence in CORPUS["test"]]
    )
    np.testing.assert_allclose(np.exp(np.concatenate(scores)).mean(axis=0), np.exp(odd), atol=0.1)


def test_confident_unlabelled_sentences_join_and_known_ones_do_not(
    tiny_backbone: Path, teachers: list[FoundModel], tmp_path: Path
) -> None:
    known = " ".join(CORPUS["test"][0].tokens)
    texts = tmp_path / "texts.jsonl"
    texts.write_text(
        "\n".join(
            json.dumps({"text": text})
            for text in ("we met at noon", "we met at noon", "we wait \ud800", known)
        ),
        encoding="utf-8",
    )
    overrides = {
        "distill.teachers": ["named"],
        "distill.unlabelled": str(texts),
        "distill.confidence": 0.0,
    }
    lesson = teach(config_of(tiny_backbone, **overrides).distill, teachers, DATASET)
    assert lesson.distillation is not None
    added = lesson.sentences[len(CORPUS["train"]) :]
    assert [sentence.tokens for sentence in added] == [
        ("we", "met", "at", "noon"),
        ("we", "wait", "\ufffd"),
    ]
    assert len(lesson.distillation.log_probabilities) == len(lesson.sentences)
    assert all(
        len(said) == len(sentence.tokens)
        for said, sentence in zip(
            lesson.distillation.log_probabilities, lesson.sentences, strict=True
        )
    )
    limited = teach(
        config_of(tiny_backbone, **overrides, **{"distill.unlabelled_limit": 1}).distill,
        teachers,
        DATASET,
    )
    assert limited.metrics == {
        "distill/unlabelled_sentences": 1.0,
        "distill/confident_sentences": 1.0,
    }


def test_a_sentence_is_confident_where_its_least_sure_word_is() -> None:
    labels = ("O", "B-OS", "I-OS")
    sure, unsure = (
        np.log([[0.98, 0.01, 0.01], [0.04, 0.95, 0.01]]),
        np.log([[0.98, 0.01, 0.01], [0.5, 0.4, 0.1]]),
    )
    sentences = [
        Sentence(("on", "Linux"), ("O", "O"), "a mail"),
        Sentence(("on", "Windows"), ("O", "O"), "a mail"),
    ]
    scores = [sure.astype(np.float32), unsure.astype(np.float32)]
    assert pseudo_labelled(sentences, scores, labels, 0.9) == [
        (0, Sentence(("on", "Linux"), ("O", "B-OS"), "a mail"))
    ]
    assert len(pseudo_labelled(sentences, scores, labels, 0.3)) == 2


def test_sentences_of_one_unlabelled_text_are_neighbours_and_those_of_two_are_not(
    tiny_backbone: Path, teachers: list[FoundModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "texts.txt").write_text("We met . It rained .\nNobody came .\n", encoding="utf-8")
    asked: list[object] = []

    def said(_: object, sentences: list[tuple[str, ...]], documents: list[str]) -> list[np.ndarray]:
        asked.extend(documents[len(CORPUS["train"]) :])
        return [np.zeros((len(words), len(SCHEMA.labels)), np.float32) for words in sentences]

    monkeypatch.setattr(module, "mean_log_probabilities", said)
    overrides = {
        "distill.teachers": ["named"],
        "distill.unlabelled": str(tmp_path / "texts.txt"),
        "distill.confidence": 0.0,
    }
    lesson = teach(config_of(tiny_backbone, **overrides).distill, teachers, DATASET)
    first, second, third = (
        sentence.document for sentence in lesson.sentences[len(CORPUS["train"]) :]
    )
    assert first == second != third
    assert asked == [first, second, third]


def test_two_who_have_one_lesson_at_once_ask_once(
    tiny_backbone: Path, teachers: list[FoundModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def said(_: object, sentences: list[tuple[str, ...]], __: object) -> list[np.ndarray]:
        asked.append(len(sentences))
        time.sleep(0.5)
        return [np.zeros((len(words), len(SCHEMA.labels)), np.float32) for words in sentences]

    monkeypatch.setattr(module, "mean_log_probabilities", said)
    with ThreadPoolExecutor(2) as pool:
        lessons = [
            pool.submit(teach, config_of(tiny_backbone).distill, teachers, DATASET)
            for _ in range(2)
        ]
    assert all(lesson.result().distillation for lesson in lessons)
    assert len(asked) == 1


def test_a_teacher_with_other_labels_is_refused(
    tiny_backbone: Path, teachers: list[FoundModel]
) -> None:
    other = LabelSchema(("OS",))
    corpus = {split: [Sentence(("Linux",), ("B-OS",))] for split in ("train", "validation", "test")}
    with pytest.raises(
        ModelError, match=r"has the labels O, B-ERROR.*, not O, B-OS, I-OS: give another"
    ):
        teach(
            config_of(tiny_backbone).distill,
            teachers,
            PreparedDataset("other", corpus, other, fingerprint(corpus, other)),
        )


def test_the_mean_of_one_is_that_one(teachers: list[FoundModel]) -> None:
    checkpoint = load_model(teachers[0].folder)
    tagger = torch_tagger(checkpoint.network, checkpoint.tokenizer, checkpoint.spec)
    words = [("we", "use", "Java")]
    np.testing.assert_allclose(
        mean_log_probabilities([tagger], words)[0], tagger.log_probabilities(words)[0], atol=1e-6
    )
