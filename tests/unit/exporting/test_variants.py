"""Variants: each file computes what PyTorch computes, and one that does not is not served."""

import copy
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import ExportConfig
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.errors import ModelError
from ner_mlflow.exporting.variants import (
    ExportReport,
    VariantReport,
    choose_served,
    export,
    max_logit_difference,
)
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.checkpoint import Checkpoint, load_model, save_model
from ner_mlflow.modeling.predict import torch_forward
from ner_mlflow.provenance import VECTOR_FLAGS, folder_sizes, hardware
from ner_mlflow.tagging.encoding import WordEncoder
from ner_mlflow.tagging.engines import DEFAULT, ENGINES, engine_of
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tagging.onnx_engine import onnx_forward, onnx_session
from ner_mlflow.tagging.recognizer import PART_CHARACTERS, EntityRecognizer, load_tagger

Sentences = dict[str, list[Sentence]]


def run_export(
    checkpoint: Checkpoint,
    sentences: Sentences,
    settings: ExportConfig,
    folder: Path,
    **changes: object,
) -> ExportReport:
    return export(
        checkpoint,
        sentences["train"],
        sentences["validation"],
        settings.model_copy(update=changes),
        folder,
    )


@pytest.fixture(scope="module")
def exported(
    checkpoint: Checkpoint,
    sentences: Sentences,
    export_settings: ExportConfig,
    tmp_path_factory: pytest.TempPathFactory,
) -> ExportReport:
    """All variants, with a tolerance that each meets."""
    return run_export(
        checkpoint,
        sentences,
        export_settings,
        tmp_path_factory.mktemp("exported") / "onnx",
        variants=("fp32", "fused", "fp16", "int8", "int8_static"),
        f1_tolerance=1.0,
        calibration_sentences=16,
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


def test_a_graph_that_confuses_mask_and_input_has_a_large_difference(
    checkpoint: Checkpoint, sentences: Sentences
) -> None:
    reference = torch_forward(checkpoint.network)
    windows = WordEncoder(checkpoint.tokenizer, 48).windows(
        [sentence.tokens for sentence in sentences["validation"]]
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


def test_fp32_that_differs_from_pytorch_by_more_than_the_tolerance_is_not_served(
    checkpoint: Checkpoint, sentences: Sentences, export_settings: ExportConfig, tmp_path: Path
) -> None:
    with pytest.raises(
        ModelError, match=r"no variant can be served \(fp32: logits differ by .*, more than 1e-12\)"
    ):
        run_export(
            checkpoint,
            sentences,
            export_settings,
            tmp_path / "onnx",
            variants=("fp32",),
            logit_tolerance=1e-12,
        )


@pytest.fixture(scope="module")
def fragile(checkpoint: Checkpoint) -> Checkpoint:
    """The same model with weights that only int8 cannot represent.

    One neuron of each feed-forward layer is silenced, and its outgoing weights are made huge: they
    change no answer, but the scale of 8-bit weights now rounds all others to zero.
    """
    network = copy.deepcopy(checkpoint.network)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith(".intermediate.dense.weight"):
                weight[0] = 0.0
            elif name.endswith(".intermediate.dense.bias"):
                weight[0] = -100.0
            elif name.endswith(".output.dense.weight") and "attention" not in name:
                weight[:, 0] = 1e4
    return Checkpoint(network, checkpoint.tokenizer, checkpoint.spec)


def test_a_variant_that_loses_f1_is_not_proven_and_the_next_proven_one_is_served(
    fragile: Checkpoint, sentences: Sentences, export_settings: ExportConfig, tmp_path: Path
) -> None:
    report = run_export(
        fragile,
        sentences,
        export_settings,
        tmp_path / "onnx",
        variants=("fp32", "fp16", "int8"),
        served=("int8", "fp16", "fp32"),
        f1_tolerance=0.05,
        int8_damage_limit=1000.0,
    )
    fp32, fp16, int8 = report.variants
    assert fp32.metrics["validation_f1"] > 0.6
    assert fp32.failures == fp16.failures == ()
    assert int8.metrics["validation_f1_loss"] > 0.05
    assert [failure.split(" is ")[0] for failure in int8.failures] == ["validation F1"]
    assert report.served is fp16
    table = report.tables["variants"].set_index("variant")
    assert list(table["served"]) == [False, True, False]
    assert table.loc["fp32", "proof"] == "holds"
    assert "lower, more than 0.05" in str(table.loc["int8", "proof"])


def test_int8_leaves_the_layers_that_it_would_damage_in_fp32_names_them_and_is_served(
    fragile: Checkpoint, sentences: Sentences, export_settings: ExportConfig, tmp_path: Path
) -> None:
    report = run_export(
        fragile,
        sentences,
        export_settings,
        tmp_path / "onnx",
        variants=("fp32", "int8"),
        served=("int8", "fp32"),
        f1_tolerance=0.05,
        int8_damage_limit=0.001,
    )
    int8 = report.served
    assert int8.name == "int8"
    assert int8.metrics["damage_nats"] <= 0.001 < int8.metrics["damage_before_nats"]
    assert int8.float_layers
    assert set(int8.float_layers) >= {"bert.encoder.layer.0.output.dense"}
    assert int8.metrics["float_layers"] == len(int8.float_layers)
    table = report.tables["variants"].set_index("variant")
    assert table.loc["int8", "float_layers"] == ", ".join(int8.float_layers)
    damage = report.tables["int8_damage"]
    assert tuple(damage[damage["computed_in"] == "fp32"]["layer"]) == int8.float_layers


def test_every_variant_carries_its_whole_proof(exported: ExportReport) -> None:
    table = exported.tables["variants"].set_index("variant")
    assert list(table.index) == ["fp32", "fused", "fp16", "int8", "int8_static"]
    assert (table["validation_f1_low"] <= table["validation_f1"]).all()
    assert (table["validation_f1"] <= table["validation_f1_high"]).all()
    assert table.loc["fp32", "validation_f1"] > 0.6
    assert table.loc["fp32", "validation_f1_loss"] == pytest.approx(0)
    measured = [
        "latency/length_32/p50_ms",
        "latency/real/p50_ms",
        "sentences_per_s",
        "cold_start_ms",
        "cold_memory_bytes",
        "size_bytes",
    ]
    assert (table[measured] > 0).all(axis=None)
    assert (table["peak_memory_bytes"] >= table["cold_memory_bytes"]).all()
    assert set(table["cpu_cores"]) == {hardware()["cpu_cores"]}
    assert set(table["cpu_flags"]) == {hardware()["cpu_flags"]}
    assert set(hardware()["cpu_flags"].split()) <= VECTOR_FLAGS
    assert list(table["served"]) == [True, False, False, False, False]
    assert exported.figures["tradeoff"].axes


def test_fused_nodes_compute_the_same(exported: ExportReport) -> None:
    fp32, fused = (
        onnx.load(report.folder / "model.onnx").graph for report in exported.variants[:2]
    )
    assert exported.variants[1].metrics["max_logit_difference"] < 1e-4
    assert len(fused.node) < len(fp32.node)


def test_the_damage_of_static_int8_is_reported_by_layer(exported: ExportReport) -> None:
    damage = exported.tables["int8_static_damage"]
    assert list(damage.columns) == ["layer", "mean_logit_difference"]
    assert len(damage) > 10


def test_the_damage_of_int8_is_reported_by_layer(exported: ExportReport) -> None:
    damage = exported.tables["int8_damage"]
    assert list(damage.columns) == ["layer", "damage_nats", "damage_after_nats", "computed_in"]
    assert "bert.encoder.layer.0.attention.self.query" in set(damage["layer"])
    assert damage["damage_nats"].is_monotonic_decreasing
    assert len(damage) > 10


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
    types = load_tagger(exported.served.folder).spec.types
    for text, entities in zip(texts, recognizer.recognize(texts), strict=True):
        assert all(text[entity.start : entity.end] == entity.text for entity in entities)
        assert all(first.end <= second.start for first, second in itertools.pairwise(entities))
        assert all(0 <= entity.score <= 1 for entity in entities)
        assert {entity.label for entity in entities} <= set(types)


def test_answers_do_not_depend_on_the_other_texts(
    exported: ExportReport, sentences: Sentences
) -> None:
    recognizer = EntityRecognizer(load_tagger(exported.served.folder))
    texts = [" ".join(sentence.tokens) for sentence in sentences["validation"]]
    together = list(recognizer.recognize(texts))
    assert sum(map(len, together[:10])) > 5
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


def test_a_model_with_casing_embeddings_is_exported_with_them(
    tiny_backbone: Path, sentences: Sentences, export_settings: ExportConfig, tmp_path: Path
) -> None:
    schema = LabelSchema(("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION"))
    config = load_config(
        overrides={
            "model.backbone": str(tiny_backbone),
            "model.max_length": 48,
            "model.casing_embeddings": "always",
        }
    )
    model = build_model(resolve_backbone(str(tiny_backbone)), config.model, schema, 1)
    with torch.no_grad():
        model.network.get_submodule("bert.embeddings.token_type_embeddings").weight.normal_(
            generator=torch.manual_seed(0)
        )
    save_model(model, tmp_path / "model")
    fp32 = run_export(
        load_model(tmp_path / "model"),
        sentences,
        export_settings,
        tmp_path / "onnx",
        variants=("fp32",),
    ).variants[0]
    assert fp32.metrics["max_logit_difference"] < 1e-4
    lower, upper = load_tagger(fp32.folder).log_probabilities(
        [["we", "use", "java"], ["We", "USE", "jaVa"]]
    )
    assert np.abs(lower - upper).max() > 1e-2


def report(name: str, f1: float, speed: float, *failures: str) -> VariantReport:
    variant, _, engine = name.partition("_")
    metrics = {"validation_f1": f1, "sentences_per_s": speed}
    return VariantReport(
        name,
        variant,  # type: ignore[arg-type]
        ENGINES[engine or DEFAULT],
        Path(name),
        metrics,
        failures,
    )


@pytest.mark.parametrize(
    ("engines", "int8", "openvino", "expected"),
    [
        (["onnxruntime"], (0.701, 900), (0.70, 2000), "int8"),  # the order counts, not the speed
        (["onnxruntime", "openvino"], (0.701, 900), (0.70, 800), "int8"),
        (["onnxruntime", "openvino"], (0.701, 900), (0.70, 1000), "fp32_openvino"),
        (["onnxruntime", "openvino"], (0.697, 900), (0.6985, 800), "fp32_openvino"),
        (["onnxruntime", "openvino"], (0.697, 900), (0.697, 800), "fp32"),
        (["onnxruntime", "openvino"], (0.697, 900), (0.70, 300), "fp32"),
    ],
)
def test_with_several_engines_the_fastest_that_loses_little_is_served(
    export_settings: ExportConfig,
    engines: list[str],
    int8: tuple[float, float],
    openvino: tuple[float, float],
    expected: str,
) -> None:
    settings = export_settings.model_copy(update={"engines": engines, "served": ["int8", "fp32"]})
    reports = [report("fp32", 0.70, 400), report("int8", *int8)]
    if len(engines) > 1:
        reports.append(report("fp32_openvino", *openvino))
    assert choose_served(reports, settings).name == expected


def test_an_engine_without_proof_is_not_served_and_a_choice_without_fp32_is_the_first_proven(
    export_settings: ExportConfig,
) -> None:
    settings = export_settings.model_copy(update={"engines": ["onnxruntime", "openvino"]})
    unproven = report("fp32_openvino", 0.70, 900, "validation F1 is 0.0300 lower")
    assert choose_served([report("fp32", 0.70, 400), unproven], settings).name == "fp32"
    settings = settings.model_copy(update={"served": ["int8"]})
    reports = [report("fp32", 0.70, 400), report("int8", 0.69, 900)]
    assert choose_served(reports, settings).name == "int8"


@pytest.mark.slow
def test_an_export_with_two_engines_proves_and_times_both(
    checkpoint: Checkpoint, sentences: Sentences, export_settings: ExportConfig, tmp_path: Path
) -> None:
    exported = run_export(
        checkpoint,
        sentences,
        export_settings,
        tmp_path / "onnx",
        variants=("fp32", "int8"),
        engines=("onnxruntime", "openvino"),
        f1_tolerance=1.0,
    )
    table = exported.tables["variants"].set_index("variant")
    assert list(table["engine"]) == ["onnxruntime", "onnxruntime", "openvino"]
    assert table.loc["fp32_openvino", "precision"] in ("fp32", "bf16")
    assert (table["sentences_per_s"] > 0).all()
    assert table.loc["fp32_openvino", "validation_f1"] > 0.6
    openvino = exported.variants[-1]
    assert 0 < openvino.metrics["max_logit_difference"] < 0.5
    assert engine_of(openvino.folder).name == "openvino"


def test_a_provider_that_onnx_runtime_lacks_is_named(exported: ExportReport) -> None:
    with pytest.raises(
        ModelError,
        match=r"provider 'OtherProvider' is none of this ONNX Runtime's \(.*CPUExecutionProvider",
    ):
        load_tagger(exported.variants[0].folder, provider="OtherProvider")
