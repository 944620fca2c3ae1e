"""Tiny WordPiece tokenizers, and BERT encoders of random weights for them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def wordpiece(
    vocabulary: Mapping[str, int], normalizer: normalizers.Normalizer | None = None
) -> Tokenizer:
    """Return a tokenizer that wraps a sentence in [CLS] and [SEP], as BERT's does."""
    tokenizer = Tokenizer(models.WordPiece(dict(vocabulary), unk_token="[UNK]"))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def save_tiny_bert(folder: Path, pieces: Iterable[str]) -> None:
    """Write a two-layer BERT and its tokenizer, whose vocabulary is lower-cased."""
    import torch  # takes seconds to import, and many tests need none
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = {piece: id_ for id_, piece in enumerate(dict.fromkeys([*SPECIAL, *pieces]))}
    tokenizer = wordpiece(vocabulary, normalizers.BertNormalizer(lowercase=True))
    names = {f"{token[1:-1].lower()}_token": token for token in SPECIAL}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=128,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)


def export_untrained(
    backbone: Path, folder: Path, max_length: int, types: tuple[str, ...] = ("OS",)
) -> Path:
    """Export a model over a backbone without training it; return the folder of its files."""
    from ner_mlflow.config.loading import load_config
    from ner_mlflow.exporting.onnx_files import write_fp32
    from ner_mlflow.modeling.backbone import resolve_backbone
    from ner_mlflow.modeling.build import build_model
    from ner_mlflow.modeling.checkpoint import load_model, save_model
    from ner_mlflow.tagging.label_schema import LabelSchema

    overrides = {"model.backbone": str(backbone), "model.max_length": max_length}
    config = load_config(overrides=overrides).model
    built = build_model(resolve_backbone(str(backbone)), config, LabelSchema(types), 1)
    save_model(built, folder / "torch")
    write_fp32(load_model(folder / "torch"), folder / "onnx")
    return folder / "onnx"
