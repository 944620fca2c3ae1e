"""A corpus in a script without blanks, given by characters, becomes a model of unspaced text."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from backbones import save_tiny_bert

from ner_mlflow.config.loading import load_config
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.checkpoint import load_model
from ner_mlflow.modeling.dataset import TrainingData
from ner_mlflow.modeling.fit import fit
from ner_mlflow.modeling.training_text import training_text
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tagging.recognizer import EntityRecognizer, load_tagger

NAMES = {
    "ORG": ["清华大学", "微软", "腾讯公司", "阿里巴巴", "谷歌"],
    "LOC": ["北京", "上海市", "深圳", "广东省", "𠮷野町"],
}
PATTERNS = [
    "他在{LOC}的{ORG}工作。",
    "{ORG}的总部在{LOC}，员工很多。",
    "昨天，{ORG}和{ORG}在{LOC}开会。",
    "我们从{LOC}去{LOC}。",
    "今天天气很好！",
]
SCHEMA = LabelSchema(tuple(NAMES))


def write_sentence(draw: random.Random) -> tuple[str, list[tuple[int, int, str]]]:
    """Return a sentence and its entities as spans."""
    text, spans = "", []
    names = {label: draw.sample(choices, len(choices)) for label, choices in NAMES.items()}
    for number, part in enumerate(draw.choice(PATTERNS).replace("}", "{").split("{")):
        if number % 2:
            name = names[part].pop()
            spans.append((len(text), len(text) + len(name), part))
            text += name
        else:
            text += part
    return text, spans


def corpus(count: int, seed: int) -> Iterator[Sentence]:
    """Yield sentences of which each character is a word."""
    draw = random.Random(seed)
    for _ in range(count):
        text, spans = write_sentence(draw)
        tags = ["O"] * len(text)
        for start, end, label in spans:
            tags[start:end] = [f"B-{label}", *[f"I-{label}"] * (end - start - 1)]
        yield Sentence(tuple(text), tuple(tags))


@pytest.fixture(scope="module")
def chinese_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT whose vocabulary is the corpus's characters."""
    folder = tmp_path_factory.mktemp("backbone")
    save_tiny_bert(folder, sorted({token for one in corpus(200, 1) for token in one.tokens}))
    return folder


@pytest.fixture(scope="module")
def recognizer(
    chinese_backbone: Path, tmp_path_factory: pytest.TempPathFactory
) -> EntityRecognizer:
    folder = tmp_path_factory.mktemp("chinese")
    settings = {
        "model.max_length": 64,
        "train.epochs": 8,
        "train.learning_rate": 3e-3,
        "train.batch_size": 16,
    }
    config = load_config(overrides=settings)
    train = training_text(list(corpus(300, 1)), SCHEMA.types, config.model, config.train)
    data = TrainingData(train, list(corpus(120, 2)), SCHEMA)
    model = build_model(resolve_backbone(str(chinese_backbone)), config.model, SCHEMA, 1)
    result = fit(model, data, config.train, folder)
    write_fp32(load_model(result.model_folder), folder / "onnx")
    return EntityRecognizer(load_tagger(folder / "onnx", threads=1))


def test_names_are_found_in_sentences_without_blanks(recognizer: EntityRecognizer) -> None:
    draw = random.Random(3)
    texts, spans = zip(*(write_sentence(draw) for _ in range(30)), strict=True)
    answers = list(recognizer.recognize(texts))
    assert [
        [(entity.start, entity.end, entity.label) for entity in entities] for entities in answers
    ] == list(spans)
    assert all(
        entity.text == text[entity.start : entity.end]
        for text, entities in zip(texts, answers, strict=True)
        for entity in entities
    )


def test_sentences_of_a_text_follow_each_other_without_blanks(
    recognizer: EntityRecognizer,
) -> None:
    text = "今天天气很好！他在𠮷野町的清华大学工作。\u200b微软的总部在深圳，员工很多。"
    (entities,) = recognizer.recognize([text])
    assert [(entity.text, entity.label) for entity in entities] == [
        ("𠮷野町", "LOC"),
        ("清华大学", "ORG"),
        ("微软", "ORG"),
        ("深圳", "LOC"),
    ]
    assert all(text[entity.start : entity.end] == entity.text for entity in entities)
