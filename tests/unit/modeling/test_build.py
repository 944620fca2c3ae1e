"""Building models on encoders of every architecture: adapters, casing embeddings, tokenizers."""

import shutil
from pathlib import Path

import pytest
from architectures import ARCHITECTURES, CORPUS, SCHEMA, backbone_of
from tokenizers import Tokenizer
from tokenizers.models import BPE, Model, Unigram
from tokenizers.pre_tokenizers import ByteLevel, Metaspace, PreTokenizer, Sequence, WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from ner_mlflow.config.loading import load_config
from ner_mlflow.errors import ModelError
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import backend_tokenizer, build_model
from ner_mlflow.modeling.checkpoint import load_model
from ner_mlflow.modeling.dataset import TrainingData
from ner_mlflow.modeling.fit import fit
from ner_mlflow.tagging.recognizer import TOKENIZER_FILE

HUGE = 2**40
"""Bytes of a sparse file."""
SPECIAL = ["<unk>", "<pad>", "<s>", "</s>"]
BYTES = {piece: id_ for id_, piece in enumerate([*SPECIAL, *sorted(ByteLevel.alphabet())])}
PIECES = [
    (piece, 0.0 if piece in SPECIAL else -1.0)
    for piece in [*SPECIAL, "▁", *"abcdefghijklmnopqrstuvwxyz0123456789"]
]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_has_all_groups_of_lora_targets(
    architecture: str, tiny_backbone: Path, tmp_path: Path
) -> None:
    backbone = backbone_of(architecture, tiny_backbone, tmp_path / "backbone")
    adapted = {}
    for group in ("all", "attention", "query_value"):
        config = load_config(
            overrides={
                "model.max_length": 48,
                "model.adaptation": "lora",
                "model.lora_targets": [group],
            }
        )
        network = build_model(backbone, config.model, SCHEMA, 1).network
        adapted[group] = {
            name.removesuffix(".lora_A.default.weight")
            for name, _ in network.named_parameters()
            if name.endswith(".lora_A.default.weight")
        }
    assert adapted["all"] > adapted["attention"] >= adapted["query_value"] > set()


@pytest.mark.parametrize(
    ("architecture", "lower", "seen"),
    [("bert", True, True), ("bert", False, False), ("distilbert", True, False)],
)
def test_casing_embeddings_are_added_for_lower_casing_vocabularies_with_token_types(
    architecture: str, lower: bool, seen: bool, tiny_backbone: Path, tmp_path: Path
) -> None:
    backbone = backbone_of(architecture, tiny_backbone, tmp_path / "backbone")
    if not lower:
        file = str(backbone.folder / "tokenizer.json")
        tokenizer = Tokenizer.from_file(file)
        tokenizer.normalizer = None
        tokenizer.save(file)
    config = load_config(overrides={"model.max_length": 48})
    assert build_model(backbone, config.model, SCHEMA, 1).spec.casing_embeddings is seen
    always = load_config(overrides={"model.max_length": 48, "model.casing_embeddings": "always"})
    if architecture == "distilbert":
        with pytest.raises(
            ModelError,
            match=r"has no token types that could show casings: set model\.casing_embeddings=never",
        ):
            build_model(backbone, always.model, SCHEMA, 1)


@pytest.mark.parametrize(
    ("pre_tokenizer", "model", "pieces"),
    [
        (
            ByteLevel(add_prefix_space=False),
            BPE(BYTES, [], unk_token="<unk>"),
            ["Ġ", "u", "s", "e", "Ġ", "v", "2"],
        ),
        (
            Sequence([WhitespaceSplit(), Metaspace(prepend_scheme="never")]),
            Unigram(PIECES, unk_id=0),
            ["▁", "u", "s", "e", "▁", "v", "2"],
        ),
    ],
    ids=["byte level", "sentence pieces"],
)
def test_each_word_is_encoded_as_if_after_a_space(
    pre_tokenizer: PreTokenizer,
    model: Model,
    pieces: list[str],
    tiny_backbone: Path,
    tmp_path: Path,
) -> None:
    backbone = backbone_of("roberta", tiny_backbone, tmp_path / "backbone")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
    ).save_pretrained(backbone.folder)
    config = load_config(
        overrides={"model.max_length": 48, "train.epochs": 1, "train.batch_size": 8}
    )
    built = build_model(backbone, config.model, SCHEMA, 1)
    data = TrainingData(CORPUS["train"][:16], CORPUS["validation"][:4], SCHEMA)
    fit(built, data, config.train, tmp_path)
    loaded = load_model(tmp_path / "model")
    write_fp32(loaded, tmp_path / "onnx")
    served = Tokenizer.from_file(str(tmp_path / "onnx" / TOKENIZER_FILE))
    for tokenizer in (backend_tokenizer(built.tokenizer), loaded.tokenizer, served):
        encoded = tokenizer.encode(["use", "v2"], is_pretokenized=True, add_special_tokens=False)
        assert encoded.tokens == pieces


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json"])
def test_a_file_of_a_backbone_that_would_fill_the_memory_is_refused_unread(
    name: str, tiny_backbone: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_backbone, tmp_path / "backbone"))
    with (folder / name).open("ab") as file:
        file.truncate(HUGE)
    config = load_config(overrides={"model.max_length": 48})
    message = rf"backbone '.*': .*/{name} has 1,099,511,627,776 bytes, and [0-9,]+ at most"
    with pytest.raises(ModelError, match=message):
        build_model(resolve_backbone(str(folder)), config.model, SCHEMA, 1)
