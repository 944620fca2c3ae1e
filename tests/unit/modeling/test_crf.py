"""The conditional random field: its likelihood, and its transitions once saved and exported."""

from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from ner_mlflow.config.loading import load_config
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.errors import ConfigError
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.checkpoint import load_adapter, load_model
from ner_mlflow.modeling.crf import LinearChain, SequenceLoss
from ner_mlflow.modeling.dataset import TrainingData
from ner_mlflow.modeling.fit import fit
from ner_mlflow.modeling.predict import torch_tagger
from ner_mlflow.tagging.encoding import IGNORED
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tagging.recognizer import load_tagger

CORPUS = generate_sample(13)
SCHEMA = LabelSchema(("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION"))
LABELS = 3


def random_crf(seed: int) -> LinearChain:
    torch.manual_seed(seed)
    crf = LinearChain(LABELS)
    for weight in crf.parameters():
        torch.nn.init.normal_(weight)
    return crf


def by_hand(crf: LinearChain, logits: torch.Tensor, tags: list[int]) -> float:
    def path(sequence: tuple[int, ...]) -> torch.Tensor:
        steps = sum((crf.steps[a, b] for a, b in pairwise(sequence)), torch.zeros(()))
        return crf.starts[sequence[0]] + steps + logits[range(len(sequence)), list(sequence)].sum()

    every = torch.stack([path(sequence) for sequence in product(range(LABELS), repeat=len(tags))])
    return float((torch.logsumexp(every, 0) - path(tuple(tags))).detach())


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_the_likelihood_is_normalised_over_all_sequences_in_any_batch(
    seed: int, lengths: list[int]
) -> None:
    crf = random_crf(seed)
    logits, tags = (
        torch.randn(len(lengths), max(lengths), LABELS),
        torch.randint(0, LABELS, (len(lengths), max(lengths))),
    )
    likelihoods = crf(logits, tags, torch.tensor(lengths)).tolist()
    assert likelihoods == pytest.approx(
        [
            by_hand(crf, logits[row], tags[row, :length].tolist())
            for row, length in enumerate(lengths)
        ],
        abs=1e-4,
    )


def test_the_loss_counts_labelled_subwords_only() -> None:
    crf = random_crf(7)
    logits = torch.randn(2, 6, LABELS)
    labels = torch.tensor(
        [[IGNORED, 1, IGNORED, 2, 0, IGNORED], [IGNORED, IGNORED, 0, IGNORED, IGNORED, IGNORED]]
    )
    loss = SequenceLoss(crf)(SimpleNamespace(logits=logits), labels)
    expected = by_hand(crf, logits[0, [1, 3, 4]], [1, 2, 0]) + by_hand(crf, logits[1, [2]], [0])
    assert float(loss.detach()) == pytest.approx(expected / 4, abs=1e-4)


@pytest.mark.parametrize("adaptation", ["full", "lora"])
def test_the_learned_transitions_are_saved_and_exported(
    adaptation: str, tiny_backbone: Path, tmp_path: Path
) -> None:
    backbone = resolve_backbone(str(tiny_backbone))
    overrides = {
        "model.head": "crf",
        "model.max_length": 64,
        "model.adaptation": adaptation,
        "model.lora_rank": 4,
    }
    config = load_config(overrides={**overrides, "train.learning_rate": 3e-3, "train.epochs": 3})
    model = build_model(backbone, config.model, SCHEMA, 1)
    data = TrainingData(CORPUS["train"][:400], CORPUS["validation"][:60], SCHEMA)
    result = fit(model, data, config.train, tmp_path)
    saved = load_model(result.model_folder)
    assert saved.spec.transitions is not None
    steps = np.array(saved.spec.transitions.steps)
    outside, begin, inside = (
        saved.spec.labels.index(label) for label in ("O", "B-SOFTWARE", "I-SOFTWARE")
    )
    assert steps[begin, inside] > steps[outside, inside] + 0.5  # as in the training data
    assert not any("crf" in name for name in load_file(result.model_folder / "model.safetensors"))
    if result.adapter_folder:
        assert (
            load_adapter(result.adapter_folder, backbone).spec.transitions == saved.spec.transitions
        )
    # The served model decodes with the same transitions, and they matter.
    sentences = [sentence.tokens for sentence in CORPUS["test"][:60]]
    tagger = torch_tagger(saved.network, saved.tokenizer, saved.spec)
    write_fp32(saved, tmp_path / "onnx")
    assert [tagged.tags for tagged in load_tagger(tmp_path / "onnx").tag(sentences)] == [
        tagged.tags for tagged in tagger.tag(sentences)
    ]
    without = torch_tagger(saved.network, saved.tokenizer, model.spec)
    assert [tagged.tags for tagged in tagger.tag(sentences)] != [
        tagged.tags for tagged in without.tag(sentences)
    ]
    for row in tagger.log_probabilities(sentences[:5]):
        np.testing.assert_allclose(np.exp(row).sum(-1), 1.0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train.focal_gamma", 1.0),
        ("train.class_weight_power", 0.5),
        ("distill.teachers", ("models:/it-ner@champion",)),
    ],
)
def test_losses_of_single_words_are_refused(name: str, value: object) -> None:
    with pytest.raises(
        ConfigError,
        match=f"model.head=crf learns from whole sentences, but {name}=.* set model.head=softmax",
    ):
        load_config(overrides={"model.head": "crf", name: value})
