"""Export: the files compute what PyTorch computes, and a file that does not is not served."""

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
import torch

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import ExportConfig
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.errors import ModelError
from ner_mlflow.export.latency import interleaved_latency_ms, onnx_loader
from ner_mlflow.export.variants import ExportReport, export, max_logit_difference
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.checkpoint import Checkpoint, load_model, save_model
from ner_mlflow.modeling.predict import torch_forward
from ner_mlflow.provenance import folder_sizes
from ner_mlflow.tagging.encoding import WordEncoder
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tagging.recognizer import (
    PART_CHARACTERS,
    EntityRecognizer,
    load_tagger,
    onnx_forward,
    onnx_session,
)

TRAIN, VALIDATION = (generate_sample(13)[split][:40] for split in ("train", "validation"))
SCHEMA = LabelSchema(("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION"))


def settings(**overrides: object) -> ExportConfig:
    quick = {
        "export.latency_runs": 4,
        "export.latency_warmup_runs": 0,
        "export.latency_length": 32,
        "export.served": ["fp32"],
    }
    return load_config(
        overrides={**quick, **{f"export.{name}": value for name, value in overrides.items()}}
    ).export


@pytest.fixture(scope="module")
def checkpoint(tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    config = load_config(
        overrides={
            "model.backbone": str(tiny_backbone),
            "model.max_length": 48,
            "model.casing_embeddings": "never",
        }
    )
    folder = tmp_path_factory.mktemp("model")
    save_model(build_model(resolve_backbone(str(tiny_backbone)), config.model, SCHEMA, 1), folder)
    return load_model(folder)


@pytest.fixture(scope="module")
def exported(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    return export(
        checkpoint, TRAIN, VALIDATION, settings(), tmp_path_factory.mktemp("exported") / "onnx"
    )


def test_fp32_gives_the_logits_of_pytorch_and_every_byte_is_counted(exported: ExportReport) -> None:
    fp32 = exported.variants[0]
    assert fp32.metrics["max_logit_difference"] < 1e-4
    assert fp32.metrics["size_bytes"] == sum(
        file.stat().st_size for file in fp32.folder.rglob("*") if file.is_file()
    )
    assert set(folder_sizes(fp32.folder)) == {"model.onnx", "tokenizer.json", "ner_model.json"}


def test_exported_files_take_any_batch_and_length(
    checkpoint: Checkpoint, exported: ExportReport
) -> None:
    forward, reference = (
        onnx_forward(onnx_session(exported.variants[0].folder / "model.onnx")),
        torch_forward(checkpoint.network),
    )
    generator = np.random.default_rng(0)
    for shape in ((1, 3), (1, 48), (5, 17)):
        ids = generator.integers(5, 100, shape)
        mask = np.ones(shape, dtype=np.int64)
        mask[0, -1] = 0
        inputs = {"input_ids": ids, "attention_mask": mask}
        np.testing.assert_allclose(
            forward(inputs)[mask == 1], reference(inputs)[mask == 1], atol=1e-4
        )


def test_a_graph_that_takes_the_mask_for_the_input_is_found_out(checkpoint: Checkpoint) -> None:
    reference = torch_forward(checkpoint.network)
    windows = WordEncoder(checkpoint.tokenizer, 48).windows(
        [sentence.tokens for sentence in VALIDATION]
    )
    assert max_logit_difference(reference, reference, windows, 0) == 0
    assert (
        max_logit_difference(
            reference,
            lambda inputs: reference({**inputs, "input_ids": inputs["attention_mask"]}),
            windows,
            0,
        )
        > 1e-3
    )


def test_nothing_unproven_is_served(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"no variant can be served \(fp32: logits differ by .*, more than 1e-12\)"
    ):
        export(checkpoint, TRAIN, VALIDATION, settings(logit_tolerance=1e-12), tmp_path / "onnx")


@pytest.fixture(scope="module")
def everything(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    names = ["fp32", "fused", "fp16", "int8", "int8_static"]
    changed = settings(variants=names, f1_tolerance=1.0, calibration_sentences=16)
    return export(
        checkpoint, TRAIN, VALIDATION, changed, tmp_path_factory.mktemp("everything") / "onnx"
    )


def test_every_variant_carries_its_whole_proof(everything: ExportReport) -> None:
    table = everything.tables["variants"].set_index("variant")
    assert list(table.index) == ["fp32", "fused", "fp16", "int8", "int8_static"]
    assert (table["validation_f1_low"] <= table["validation_f1"]).all()
    assert (table["validation_f1"] <= table["validation_f1_high"]).all()
    measured = [
        "latency/length_32/p50_ms",
        "latency/real/p50_ms",
        "sentences_per_s",
        "cold_start_ms",
        "cold_memory_bytes",
        "size_bytes",
    ]
    assert (table[measured] > 0).all(axis=None)
    assert (
        table["peak_memory_bytes"] >= table["cold_memory_bytes"]
    ).all()  # many texts at once need a second session, and threads
    assert (
        table["peak_memory_bytes"] < psutil.Process().memory_info().rss
    ).all()  # theirs, not that of this process, which has torch
    assert set(table["cpu_cores"]) == {str(os.cpu_count())}
    assert list(table["served"]) == [True, False, False, False, False]
    assert everything.figures["tradeoff"].axes


def test_fused_nodes_compute_the_same(everything: ExportReport) -> None:
    fp32, fused = (
        onnx.load(everything.variants[place].folder / "model.onnx").graph for place in (0, 1)
    )
    assert everything.variants[1].metrics["max_logit_difference"] < 1e-4
    assert len(fused.node) < len(fp32.node)


def test_static_int8_answers_alike_in_any_company_and_says_what_each_layer_suffered(
    everything: ExportReport,
) -> None:
    static = everything.variants[4]
    damage = everything.tables["int8_static_damage"]["mean_logit_difference"]
    assert list(damage) == sorted(damage, reverse=True)
    assert damage.iloc[-1] >= 0
    quantised = {node.op_type for node in onnx.load(static.folder / "model.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= quantised
    assert static.metrics["model_size_bytes"] < everything.variants[0].metrics["model_size_bytes"]
    tagger = load_tagger(static.folder)
    sentences = [sentence.tokens for sentence in VALIDATION]
    together = tagger.log_probabilities(sentences)
    alone = [tagger.log_probabilities([words])[0] for words in sentences[:8]]
    assert all(
        np.allclose(one, other, atol=1e-4) for one, other in zip(alone, together, strict=False)
    )


def test_layers_that_suffer_most_stay_as_they_were(checkpoint: Checkpoint, tmp_path: Path) -> None:
    changed = settings(variants=["fp32", "int8_static"], f1_tolerance=1.0, calibration_sentences=16)
    reports = {
        ratio: export(
            checkpoint,
            TRAIN,
            VALIDATION,
            changed.model_copy(update={"static_damage_ratio": ratio}),
            tmp_path / str(ratio),
        ).variants[1]
        for ratio in (0.9, 1000.0)
    }
    assert (
        reports[0.9].metrics["max_logit_difference"]
        < reports[1000.0].metrics["max_logit_difference"]
    )
    assert reports[0.9].metrics["model_size_bytes"] > reports[1000.0].metrics["model_size_bytes"]


def test_long_texts_and_odd_ones_are_recognised_with_offsets(exported: ExportReport) -> None:
    recognizer = EntityRecognizer(load_tagger(exported.served.folder))
    texts = [
        "",
        " \n",
        "word " * 3000,
        "x" * 5000,
        "Ünïcödé 😀 \u200b \x00 Ubuntu 22.04",
        "a\ud800b",
    ]
    for text, entities in zip(texts, recognizer.recognize(texts), strict=True):
        assert all(text[entity.start : entity.end] == entity.text for entity in entities)
        assert all(first.end <= second.start for first, second in itertools.pairwise(entities))
        assert all(0 <= entity.score <= 1 and entity.label in SCHEMA.types for entity in entities)


def test_answers_do_not_depend_on_the_company_of_a_text(exported: ExportReport) -> None:
    recognizer = EntityRecognizer(load_tagger(exported.served.folder))
    texts = [" ".join(sentence.tokens) for sentence in VALIDATION]
    together = recognizer.recognize(texts)
    for text, entities in zip(texts[:10], together, strict=False):
        (alone,) = recognizer.recognize([text])
        assert [(entity.label, entity.start, entity.end) for entity in alone] == [
            (entity.label, entity.start, entity.end) for entity in entities
        ]
        assert [entity.score for entity in alone] == pytest.approx(
            [entity.score for entity in entities], abs=1e-4
        )


def test_a_stream_of_texts_is_answered_while_it_is_read(exported: ExportReport) -> None:
    recognizer = EntityRecognizer(load_tagger(exported.served.folder))
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield f"Ubuntu 22.04 on machine {read} " * 300

    for number, entities in enumerate(itertools.islice(recognizer.recognize(endless()), 40)):
        assert all(entity.end <= 9000 for entity in entities)
        assert read - number <= 4 * PART_CHARACTERS // 7000


def test_latency_is_timed_as_often_as_asked(exported: ExportReport) -> None:
    ids = np.arange(5, 15)[None, :]
    inputs = [{"input_ids": ids, "attention_mask": np.ones_like(ids)}]
    contenders = {
        report.name: (onnx_loader(report.folder / "model.onnx"), inputs)
        for report in exported.variants
    }
    times = interleaved_latency_ms(contenders, runs=11, warmup_runs=1)
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys(contenders, 11)
    assert all(value > 0 for values in times.values() for value in values)


def test_every_input_is_timed_as_often_as_any_other() -> None:
    inputs = [{"input_ids": np.array([[number]])} for number in range(16)]
    seen: list[int] = []

    def load() -> Callable[[dict[str, np.ndarray]], np.ndarray]:
        return lambda chosen: np.array(seen.append(int(chosen["input_ids"][0, 0])))

    interleaved_latency_ms({"one": (load, inputs)}, runs=16, warmup_runs=0)
    assert seen == list(range(16))
    seen.clear()
    interleaved_latency_ms({"one": (load, inputs)}, runs=48, warmup_runs=0)
    assert Counter(seen) == dict.fromkeys(range(16), 3)


def test_layers_that_all_suffer_too_much_are_an_error(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    with pytest.raises(
        ModelError, match=r"static_damage_ratio 0\.01 leaves no layer to be quantised"
    ):
        export(
            checkpoint,
            TRAIN,
            VALIDATION,
            settings(variants=["fp32", "int8_static"], static_damage_ratio=0.01),
            tmp_path,
        )


def test_a_model_that_sees_casing_is_exported_with_it(tiny_backbone: Path, tmp_path: Path) -> None:
    config = load_config(
        overrides={
            "model.backbone": str(tiny_backbone),
            "model.max_length": 48,
            "model.casing_embeddings": "always",
        }
    )
    model = build_model(resolve_backbone(str(tiny_backbone)), config.model, SCHEMA, 1)
    with torch.no_grad():
        model.network.get_submodule("bert.embeddings.token_type_embeddings").weight.normal_(
            generator=torch.manual_seed(0)
        )
    save_model(model, tmp_path / "model")
    fp32 = export(
        load_model(tmp_path / "model"), TRAIN, VALIDATION, settings(), tmp_path / "onnx"
    ).variants[0]
    assert fp32.metrics["max_logit_difference"] < 1e-4
    lower, upper = load_tagger(fp32.folder).log_probabilities(
        [["we", "use", "java"], ["We", "USE", "jaVa"]]
    )
    assert np.abs(lower - upper).max() > 1e-2


def test_a_provider_that_onnx_runtime_does_not_have_is_named(everything: ExportReport) -> None:
    with pytest.raises(
        ModelError,
        match=r"provider 'CUDAExecutionProvider' is none of this ONNX Runtime's \(.*CPUExecutionProvider",
    ):
        load_tagger(everything.variants[0].folder, provider="CUDAExecutionProvider")
