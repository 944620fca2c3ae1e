"""Compare students with fewer layers: F1 against served speed, and the Pareto front.

A student is a preset with `model.layers`. With --teachers it learns from these models too, on the
gold sentences and, with --unlabelled, on those of other texts (`distill.unlabelled`); documents
that hold a text of --raw are left out of them. MODELS keeps each student in a folder PRESET-LAYERS-
SEED (-taught with teachers). One that is there is not trained again, and a training that was
interrupted resumes, so students can be trained one a call. With --untrained, those that are not
there get random classifiers: speed does not depend on the weights, and their scores are left out.

Each student is exported to fp32 and int8, and these very files are scored: F1 of words on
validation and on the words of --other, and of spans on the raw texts of --raw, with and without the
parts that --apart matches. All files then answer the first texts of validation in turns in one
process, from text to spans, as they are served. Speeds are ratios to the same variant of
--reference with all its layers: of elapsed time, and of CPU time, which other work on the machine
changes less. The test split is not read.

usage: python -m benchmarks.students DATASET MODELS [--layers 2,3,4,6] [--seeds 13] [--epochs 5]
    [--preset minilm_full] [--reference minilm_full] [--teachers FOLDER,FOLDER] [--unlabelled FILE]
    [--raw CORPUS] [--apart 'Mozilla/\\d.*'] [--other CORPUS] [--untrained] [--rounds 7]
    [--timed 1000] [--set KEY=VALUE] ...
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recipes import add_measured_sets, measure
from benchmarks.weak_supervision import write_others
from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.config.settings import parse_assignments
from ner_mlflow.data.dataset import PreparedDataset, fingerprint
from ner_mlflow.data.prepare import prepare
from ner_mlflow.data.running_text import running_texts
from ner_mlflow.data.sentences import TRAIN, VALIDATION
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.evaluation.comparison import pareto_front
from ner_mlflow.evaluation.scores import score_tagger
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.exporting.variants import write_int8_variant
from ner_mlflow.logs import show_progress
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import BuiltModel, build_model
from ner_mlflow.modeling.checkpoint import load_model, save_model
from ner_mlflow.modeling.dataset import TrainingData
from ner_mlflow.modeling.distillation import distillation_targets
from ner_mlflow.modeling.fit import fit
from ner_mlflow.modeling.training_text import training_text
from ner_mlflow.provenance import git_commit, hardware
from ner_mlflow.tagging.engines import MODEL_FILE
from ner_mlflow.tagging.recognizer import EntityRecognizer, load_tagger
from ner_mlflow.workflows.distillation import find_teachers

log = logging.getLogger(__name__)

VARIANTS = ("fp32", "int8")
REFERENCE = "reference"
UNLIMITED = sys.float_info.max
METRICS = "metrics.json"


@dataclass(frozen=True)
class Student:
    """A student that may be on this disk.

    Attributes:
        config: its settings.
        folder: holds ``model``, ``fp32`` and ``int8``, and meanwhile the checkpoints.
    """

    config: Config
    folder: Path

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        return self.folder.name

    @property
    def is_trained(self) -> bool:
        """Return whether its training has ended."""
        return (self.folder / METRICS).is_file()


def main() -> None:
    """Train, export, score and time; the last line is one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("models", type=Path)
    parser.add_argument("--layers", default="2,3,4,6")
    parser.add_argument("--seeds", default="13")
    parser.add_argument("--epochs", type=int, default=0, help="0: as the preset says")
    parser.add_argument("--preset", default="minilm_full")
    parser.add_argument("--reference", default="minilm_full")
    parser.add_argument("--teachers", default="")
    parser.add_argument("--unlabelled", default="")
    add_measured_sets(parser)
    parser.add_argument("--untrained", action="store_true")
    parser.add_argument("--rounds", type=int, default=7, help="0: no speeds")
    parser.add_argument("--timed", type=int, default=1000, help="texts answered in each turn")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    show_progress()
    arguments.models.mkdir(parents=True, exist_ok=True)
    dataset = prepared(load_config(None, {"data.dataset": arguments.dataset}))
    rows: dict[str, dict[str, Any]] = {}
    folders: dict[str, Path] = {}
    for student in students(arguments):
        if not student.is_trained and not arguments.untrained:
            train(student, dataset)
        for variant, folder in exported(student, dataset).items():
            folders[f"{student.name} {variant}"] = folder
            row: dict[str, Any] = {
                "variant": variant,
                "layers": student.config.model.layers,
                "model_size_bytes": (folder / MODEL_FILE).stat().st_size,
            }
            if student.is_trained:
                row |= json.loads((student.folder / METRICS).read_text(encoding="utf-8"))
                row |= scores(folder, dataset, arguments)
            print(student.name, row, flush=True)
            rows[f"{student.name} {variant}"] = row
    if arguments.rounds:
        folders |= reference_files(arguments, dataset)
        texts = running_texts(dataset.corpus[VALIDATION]).texts[: arguments.timed]
        speeds = relative_speeds(folders, [text.text for text in texts], arguments.rounds)
        rows = {name: {**row, **speeds[name]} for name, row in rows.items()}
        mark_front(rows)
    print(
        json.dumps(
            {
                "students": rows,
                "reference": arguments.reference,
                "commit": git_commit(),
                "hardware": hardware(),
            }
        )
    )


def prepared(config: Config) -> PreparedDataset:
    """Return the dataset of the settings."""
    preparation = prepare(read_corpus(config.data).corpus, config.data)
    return PreparedDataset(
        config.data.dataset,
        preparation.corpus,
        preparation.schema,
        fingerprint(preparation.corpus, preparation.schema),
    )


def students(arguments: argparse.Namespace) -> list[Student]:
    """Return the students that the arguments name."""
    settings: dict[str, Any] = {"data.dataset": arguments.dataset}
    if arguments.epochs:
        settings["train.epochs"] = arguments.epochs
    if arguments.teachers:
        settings["distill.teachers"] = arguments.teachers.split(",")
        if texts := arguments.unlabelled:
            if arguments.raw:
                texts = write_others(texts, arguments.raw, arguments.models)
            settings["distill.unlabelled"] = texts
    return [
        Student(
            load_config(
                arguments.preset,
                {
                    **settings,
                    "model.layers": int(layers),
                    "train.seed": int(seed),
                    **parse_assignments(arguments.set),
                },
            ),
            arguments.models
            / f"{arguments.preset}-{layers}-{seed}{'-taught' if arguments.teachers else ''}",
        )
        for layers in arguments.layers.split(",")
        for seed in arguments.seeds.split(",")
    ]


def build(config: Config, dataset: PreparedDataset) -> BuiltModel:
    """Return an untrained model."""
    backbone = resolve_backbone(config.model.backbone, config.model.revision)
    return build_model(backbone, config.model, dataset.schema, config.train.seed)


def train(student: Student, dataset: PreparedDataset) -> None:
    """Train a student as the `train` step does; its checkpoints stay if this is interrupted."""
    config = student.config
    model = build(config, dataset)  # refuses impossible settings before teachers are asked
    sentences = training_text(
        dataset.corpus[TRAIN], dataset.schema.types, config.model, config.train
    )
    data = TrainingData(sentences, dataset.corpus[VALIDATION], dataset.schema)
    metrics: dict[str, float] = {}
    if config.distill.teachers:
        targets = distillation_targets(
            config.distill, find_teachers(config.distill), dataset, sentences
        )
        data = replace(data, train=targets.sentences, distillation=targets.distillation)
        metrics |= targets.metrics
    started = time.process_time()
    result = fit(model, data, config.train, student.folder)
    metrics |= {
        **{f"best_validation/{name}": result.metrics[f"best_validation/{name}"] for name in ["f1"]},
        **{name: result.metrics[name] for name in ("parameters/total", "train/best_epoch")},
        "train/sentences": float(len(data.train)),
        "train/cpu_s": time.process_time() - started,
    }
    (student.folder / METRICS).write_text(json.dumps(metrics), encoding="utf-8")


def exported(student: Student, dataset: PreparedDataset) -> dict[str, Path]:
    """Return the folders of a student's variants, and write them if they are not there."""
    if not student.is_trained:
        student = replace(student, folder=student.folder.with_name(f"{student.name}-untrained"))
        save_untrained(student.config, dataset, student.folder / "model")
    return write_variants(student.config, dataset, student.folder, not student.is_trained)


def save_untrained(config: Config, dataset: PreparedDataset, folder: Path) -> None:
    """Write a model with a random classifier, once."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        save_model(build(config, dataset), folder)


def write_variants(
    config: Config, dataset: PreparedDataset, folder: Path, is_untrained: bool
) -> dict[str, Path]:
    """Export ``folder/model`` to the variants beside it, once; an untrained int8 is not mended."""
    checkpoint = load_model(folder / "model")
    if not (folder / "fp32").is_dir():
        write_fp32(checkpoint, folder / "fp32")
    if not (folder / "int8").is_dir():
        export = config.export
        if is_untrained:
            export = export.model_copy(update={"int8_damage_limit": UNLIMITED})
        int8 = write_int8_variant(
            checkpoint,
            folder / "fp32",
            folder / "int8",
            dataset.corpus[TRAIN],
            dataset.corpus[VALIDATION],
            export,
        )
        log.info("int8: damage %.5f, %d layers in fp32", int8.damage_nats, len(int8.float_layers))
    return {variant: folder / variant for variant in VARIANTS}


def reference_files(arguments: argparse.Namespace, dataset: PreparedDataset) -> dict[str, Path]:
    """Return the folders of the reference's variants; its classifier is random."""
    config = load_config(arguments.reference, {"data.dataset": arguments.dataset})
    folder = arguments.models / f"{arguments.reference}-untrained"
    save_untrained(config, dataset, folder / "model")
    variants = write_variants(config, dataset, folder, is_untrained=True)
    return {f"{REFERENCE} {variant}": path for variant, path in variants.items()}


def scores(
    folder: Path, dataset: PreparedDataset, arguments: argparse.Namespace
) -> dict[str, float]:
    """Return the F1 of an exported model on validation and on the corpora of the arguments."""
    validation = score_tagger(load_tagger(folder), dataset.corpus[VALIDATION])
    return {
        "validation/f1": validation["f1"],
        "validation/ERROR/f1": validation.get("ERROR/f1", 0.0),
        **{
            name: value
            for name, value in measure(folder, arguments).items()
            if name.count("/") == 1 or "ERROR" in name
        },
    }


def relative_speeds(
    folders: Mapping[str, Path], texts: Sequence[str], rounds: int
) -> dict[str, dict[str, float]]:
    """Return for each file its speed over that of the reference's file of the same variant.

    Args:
        folders: exported models by name; the last word of a name is the variant.
        texts: what is answered in each turn.
        rounds: turns of each file.
    """
    elapsed: dict[str, list[float]] = {name: [] for name in folders}
    core: dict[str, list[float]] = {name: [] for name in folders}
    for round_ in range(rounds):
        for name in list(folders)[:: 1 if round_ % 2 else -1]:
            recognizer = EntityRecognizer(load_tagger(folders[name]))
            list(recognizer.recognize(texts[: max(1, len(texts) // 8)]))  # warms up
            started, core_started = time.perf_counter(), time.process_time()
            list(recognizer.recognize(texts))
            elapsed[name].append(time.perf_counter() - started)
            core[name].append(time.process_time() - core_started)
    result = {}
    for name in folders:
        reference = f"{REFERENCE} {name.rpartition(' ')[2]}"
        ratios = np.array(elapsed[reference]) / np.array(elapsed[name])
        result[name] = {
            "speed_ratio": float(np.median(ratios)),
            "speed_ratio_low": float(ratios.min()),
            "speed_ratio_high": float(ratios.max()),
            "core_speed_ratio": float(np.median(np.array(core[reference]) / np.array(core[name]))),
            "texts_per_s": len(texts) / float(np.median(elapsed[name])),
        }
    return result


def mark_front(rows: dict[str, dict[str, Any]]) -> None:
    """Add to each row whether no other is faster at no less validation F1."""
    trained = [row for row in rows.values() if "validation/f1" in row]
    if trained:
        on_front = pareto_front(
            np.array([1 / row["texts_per_s"] for row in trained]),
            np.array([row["validation/f1"] for row in trained]),
        )
        for row, value in zip(trained, on_front, strict=True):
            row["on_front"] = bool(value)


if __name__ == "__main__":
    main()
