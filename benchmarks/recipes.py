"""Compare training options: train every recipe of a table with every seed.

A recipe is a preset (base by default) and the settings that differ from it. Settings in --set
apply to all recipes: without access to a hub, give the folder of granite as model.backbone. The
benchmark prints validation F1 and speed, and never reads test data: recipes are chosen here, and
`main` reports the final figures.

With --raw, each model also answers the raw texts of a corpus with spans, as it is served; --apart
says which parts of the texts (a regular expression, such as that of User-Agent strings) to score
apart. With --other, each model also tags the words of another corpus.

usage: python -m benchmarks.recipes DATASET [--recipes benchmarks/recipes.yaml] [--only NAME,NAME]
    [--seeds 13,14,15] [--raw CORPUS] [--apart 'Mozilla/\\d.*'] [--other CORPUS]
    [--set KEY=VALUE] ...
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.training import train_ours
from ner_mlflow.config.loading import load_config
from ner_mlflow.config.settings import parse_assignments
from ner_mlflow.data.label_map import load_label_map
from ner_mlflow.data.prepare import prepare, relabel
from ner_mlflow.data.running_text import running_texts
from ner_mlflow.data.sentences import Sentence
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.evaluation.counts import f1
from ner_mlflow.evaluation.scores import score_tagger
from ner_mlflow.evaluation.text_answers import TextAnswer, answer_texts
from ner_mlflow.evaluation.text_scores import strict_counts
from ner_mlflow.logs import show_progress
from ner_mlflow.modeling.loading import open_tagger
from ner_mlflow.provenance import git_commit, hardware
from ner_mlflow.tagging.iob2 import Entity
from ner_mlflow.tagging.recognizer import EntityRecognizer

MEASURED = ("raw/", "standin/", "rest/", "apart/", "other/")
"""Names of metrics of corpora beside the dataset begin so."""


def main() -> None:
    """Train all recipes, and print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("--recipes", type=Path, default=Path(__file__).with_name("recipes.yaml"))
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", default="13")
    add_measured_sets(parser)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    show_progress()
    recipes: dict[str, dict[str, Any]] = yaml.safe_load(
        arguments.recipes.read_text(encoding="utf-8")
    )
    names = arguments.only.split(",") if arguments.only else list(recipes)
    results = []
    for name in names:
        recipe = {**recipes[name], **parse_assignments(arguments.set)}
        runs = [
            train(arguments.dataset, recipe, int(seed), partial(measure, arguments=arguments))
            for seed in arguments.seeds.split(",")
        ]
        f1 = [run["best_validation/f1"] for run in runs]
        row = {
            "recipe": name,
            "validation_f1": float(np.mean(f1)),
            "spread": float(np.std(f1, ddof=1)) if len(f1) > 1 else None,
            "error_f1": float(np.mean([run.get("best_validation/ERROR/f1", 0.0) for run in runs])),
            "best_epochs": [int(run["train/best_epoch"]) for run in runs],
            "subwords_per_s": float(np.mean([run["train/subwords_per_s"] for run in runs])),
            "peak_rss_bytes": max(run["train/peak_rss_bytes"] for run in runs),
            **{
                name: [round(run[name], 4) for run in runs]
                for name in runs[0]
                if name.startswith(MEASURED)
            },
        }
        print(row, flush=True)
        results.append(row)
    print(
        json.dumps(
            {
                "recipes": results,
                "seeds": arguments.seeds,
                "commit": git_commit(),
                "hardware": hardware(),
            }
        )
    )


def train(
    dataset: str,
    recipe: dict[str, Any],
    seed: int,
    measure: Callable[[Path], dict[str, float]] | None = None,
) -> dict[str, float]:
    """Train once, and return the metrics, with those that ``measure`` returns."""
    settings = {key: value for key, value in recipe.items() if key != "preset"}
    config = load_config(
        recipe.get("preset"), {"data.dataset": dataset, "train.seed": seed, **settings}
    )
    return train_ours(config, prepare(read_corpus(config.data).corpus, config.data), measure)


def add_measured_sets(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the corpora of :func:`measure`."""
    parser.add_argument("--raw", default="")
    parser.add_argument("--apart", type=re.compile, default=re.compile(r"Mozilla/\d.*"))
    parser.add_argument("--other", default="")


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Return the F1 of a trained model on the corpora that the arguments name."""
    tagger = open_tagger(folder, batch_subwords=4096)
    metrics: dict[str, float] = {}
    if arguments.other:
        scores = score_tagger(tagger, read_sentences(arguments.other))
        metrics |= {f"other/{name}": value for name, value in scores.items() if "f1" in name}
    if arguments.raw:
        texts = running_texts(read_sentences(arguments.raw))
        answers = answer_texts(EntityRecognizer(tagger), texts.texts)
        for name, is_apart in ((texts.kind, None), ("rest", False), ("apart", True)):
            counts = strict_counts(
                [select(answer, arguments.apart, is_apart) for answer in answers],
                tagger.spec.types,
            ).sum(axis=0)
            metrics[f"{name}/f1"] = float(f1(counts.sum(axis=0)))
            if is_apart is False:
                metrics |= {
                    f"{name}/{type_}/f1": float(value)
                    for type_, value in zip(tagger.spec.types, f1(counts), strict=True)
                }
    return metrics


def read_sentences(dataset: str) -> list[Sentence]:
    """Return the sentences of all splits of a corpus, relabelled as the training's are.

    Types that the label map lacks become ``O``, and are printed.
    """
    config = load_config(None, {"data.dataset": dataset, "data.unknown_tags": "outside"}).data
    reading = read_corpus(config)
    table = load_label_map(config.label_map)
    corpus = relabel(reading.corpus, table, config, reading.findings)
    if reading.findings.count("unknown_tags"):
        print(*reading.findings, sep="\n", file=sys.stderr)
    return [sentence for sentences in corpus.values() for sentence in sentences]


def select(answer: TextAnswer, apart: re.Pattern[str], is_apart: bool | None) -> TextAnswer:
    """Return an answer with its entities in the parts that match, those outside, or all (None)."""
    if is_apart is None:
        return answer
    parts = [match.span() for match in apart.finditer(answer.text)]

    def keep(entities: tuple[Entity, ...]) -> tuple[Entity, ...]:
        return tuple(
            entity
            for entity in entities
            if is_apart == any(start < entity.end and entity.start < end for start, end in parts)
        )

    return replace(answer, gold=keep(answer.gold), predicted=keep(answer.predicted), scores=())


if __name__ == "__main__":
    main()
