"""Does weak supervision help? Train on gold alone and with weak labels of several kinds.

Conditions, each with every seed: gold alone; gold oversampled as in the reference study; weak
labels in the study's share, by rules, by a teacher (the model trained on gold alone with the same
seed), by both; both with unsure words as O instead of left out of the loss; and as many weakly
labelled sentences as gold ones, by rules and the teachers of all --teacher-seeds together. A
teacher has the preset of the model it teaches, or --teacher-preset; it is taken from --models if it
is there, or trained with the settings of --set. Each model is scored on validation, on the raw
texts of --raw and on the words of --other, which is also the gold corpus that decides which types
the labelers may vote for. Documents that hold a text of --raw are left out of TEXTS. Test data is
read only with --test.

usage: python -m benchmarks.weak_supervision DATASET TEXTS [--presets minilm_full,granite_full]
    [--only NAME,NAME] [--seeds 13,14,15] [--teacher-seeds 13,14,15] [--teacher-preset granite_full]
    [--raw CORPUS] [--apart 'Mozilla/\\d.*'] [--other CORPUS] [--test] [--models FOLDER]
    [--set KEY=VALUE] ...
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recipes import MEASURED, add_measured_sets, measure, read_sentences
from benchmarks.training import train_ours
from ner_mlflow.config.loading import load_config
from ner_mlflow.config.schema import Config
from ner_mlflow.config.settings import parse_assignments
from ner_mlflow.data.findings import Findings
from ner_mlflow.data.prepare import Preparation, prepare
from ner_mlflow.data.running_text import running_texts
from ner_mlflow.data.sentences import TEST
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.evaluation.scores import score_tagger
from ner_mlflow.logs import show_progress
from ner_mlflow.modeling.loading import open_tagger
from ner_mlflow.provenance import git_commit, hardware
from ner_mlflow.weak.documents import read_documents
from ner_mlflow.weak.skipped import SkippedDocuments
from ner_mlflow.workflows.weak import extend_train, make_weak_labels

GOLD = "gold"
TEACHER = "TEACHER"
"""Stands for the folder of the model that was trained on gold alone with the same seed."""
TEACHERS = "TEACHERS"
"""Stands for the folders of the models of all seeds of ``--teacher-seeds``."""
EXCERPT_CHARACTERS = 60
CONDITIONS: dict[str, dict[str, Any]] = {
    GOLD: {},
    "oversampled": {"data.oversample_factor": 1.5, "data.rare_boost": 0.5},
    "rules": {"weak.labeler": ("rules",)},
    "teacher": {"weak.labeler": (TEACHER,)},
    "rules_teacher": {"weak.labeler": ("rules", TEACHER)},
    "rules_teacher_outside": {"weak.labeler": ("rules", TEACHER), "weak.unsure": "outside"},
    "rules_teachers": {"weak.labeler": ("rules", TEACHERS), "weak.ratio": 1.0},
}


def main() -> None:
    """Train all conditions, and print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("texts")
    parser.add_argument("--presets", default="minilm_full,minilm_lora,granite_full")
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", default="13,14,15")
    parser.add_argument("--teacher-seeds", default="13,14,15")
    parser.add_argument("--teacher-preset", default="")
    add_measured_sets(parser)
    parser.add_argument("--test", action="store_true")
    parser.add_argument("--models", type=Path, default=None)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    show_progress()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.raw:
            arguments.texts = write_others(arguments.texts, arguments.raw, Path(folder))
        models = arguments.models or Path(folder)
        results = [
            summarize(preset, name, [run(arguments, preset, name, seed, models) for seed in seeds])
            for seeds in [[int(seed) for seed in arguments.seeds.split(",")]]
            for preset in arguments.presets.split(",")
            for name in (arguments.only.split(",") if arguments.only else CONDITIONS)
        ]
    print(
        json.dumps(
            {
                "conditions": results,
                "seeds": arguments.seeds,
                "commit": git_commit(),
                "hardware": hardware(),
            }
        )
    )


def write_others(texts: str, raw: str, folder: Path) -> str:
    """Write the documents that hold no text of a gold corpus to a file; return its path.

    A document holds a text if the middle of the text is in it, whatever white space is between.
    """
    gold = [" ".join(text.text.split()) for text in running_texts(read_sentences(raw)).texts]
    middles = [text[len(text) // 2 :][:EXCERPT_CHARACTERS] for text in gold]
    path = folder / "texts.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for document in read_documents(texts, SkippedDocuments(Findings())):
            text = " ".join(document.text.split())
            if not any(middle in text for middle in middles):
                file.write(json.dumps({"text": document.text}) + "\n")
    return str(path)


def run(
    arguments: argparse.Namespace, preset: str, name: str, seed: int, models: Path
) -> dict[str, float]:
    """Train one condition with one seed, and return its metrics."""
    teacher_preset = arguments.teacher_preset or preset
    settings = dict(CONDITIONS[name])
    seeds = {TEACHER: [seed], TEACHERS: [int(each) for each in arguments.teacher_seeds.split(",")]}
    labelers: list[str] = []
    for labeler in settings.get("weak.labeler", ()):
        for each in seeds.get(labeler, ()):
            teacher = models / f"{teacher_preset}-{each}"
            if not teacher.is_dir():
                run(arguments, teacher_preset, GOLD, each, models)
            labelers.append(str(teacher))
        if labeler not in seeds:
            labelers.append(labeler)
    if labelers:
        settings["weak.labeler"] = tuple(labelers)
    if "weak.labeler" in settings:
        settings |= {"weak.source": arguments.texts, "weak.gold": arguments.other}
    config = load_config(
        preset,
        {
            "data.dataset": arguments.dataset,
            "train.seed": seed,
            **settings,
            **parse_assignments(arguments.set),
        },
    )
    preparation, weak = augmented(config)

    def score(folder: Path) -> dict[str, float]:
        kept = models / f"{preset}-{seed}"
        if name == GOLD and not kept.exists():
            shutil.copytree(folder, kept)
        metrics = measure(folder, arguments)
        if arguments.test:
            scores = score_tagger(open_tagger(folder, 4096), preparation.corpus[TEST])
            metrics |= {f"test/{key}": value for key, value in scores.items() if "f1" in key}
        return metrics

    metrics = train_ours(config, preparation, score) | weak
    print({"preset": preset, "condition": name, "seed": seed, **shown(metrics)}, flush=True)
    return metrics


def augmented(config: Config) -> tuple[Preparation, dict[str, float]]:
    """Return the prepared corpus, with weak labels if settings ask for any, and their scores."""
    preparation = prepare(read_corpus(config.data).corpus, config.data)
    if not config.weak.source:
        return preparation, {}
    labels = make_weak_labels(preparation, config)
    union = labels.scores[(labels.scores["labeler"] == "union")]
    return extend_train(preparation, labels), {
        f"weak/{row['gold']}/{row['type']}/{measure}": float(row[measure])
        for row in union.to_dict("records")
        for measure in ("precision", "recall")
    } | {f"weak/{key}": float(value) for key, value in labels.counts.items()}


def shown(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics that tell conditions apart."""
    names = ("best_validation/f1", "best_validation/ERROR/f1")
    return {
        key: round(value, 4)
        for key, value in metrics.items()
        if key in names or key.startswith((*MEASURED, "test/", "weak/"))
    }


def summarize(preset: str, name: str, runs: list[dict[str, float]]) -> dict[str, Any]:
    """Return means and standard deviations over seeds."""
    keys = shown(runs[0])
    return {
        "preset": preset,
        "condition": name,
        **{key: round(float(np.mean([run[key] for run in runs if key in run])), 4) for key in keys},
        "spread": {
            key: round(float(np.std([run[key] for run in runs if key in run], ddof=1)), 4)
            for key in keys
            if len(runs) > 1 and "/" in key and not key.startswith("weak/")
        },
    }


if __name__ == "__main__":
    main()
