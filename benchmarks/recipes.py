"""Compare training options: train every recipe of a table with every seed.

A recipe is a preset (base by default) and the settings that differ from it. Settings in --set
apply to all recipes: without access to a hub, give the folder of granite as model.backbone. The
benchmark prints validation F1 and speed, and never reads test data: recipes are chosen here, and
`main` reports the final figures.

usage: python -m benchmarks.recipes DATASET [--recipes benchmarks/recipes.yaml] [--only NAME,NAME]
    [--seeds 13,14,15] [--set KEY=VALUE] ...
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.training import train_ours
from ner_mlflow.config.loading import load_config
from ner_mlflow.config.settings import parse_assignments
from ner_mlflow.data.prepare import prepare
from ner_mlflow.data.sources import read_corpus
from ner_mlflow.logs import show_progress
from ner_mlflow.provenance import git_commit, hardware


def main() -> None:
    """Train all recipes, and print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset")
    parser.add_argument("--recipes", type=Path, default=Path(__file__).with_name("recipes.yaml"))
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", default="13")
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
        runs = [train(arguments.dataset, recipe, int(seed)) for seed in arguments.seeds.split(",")]
        f1 = [run["best_validation/f1"] for run in runs]
        row = {
            "recipe": name,
            "validation_f1": float(np.mean(f1)),
            "spread": float(np.std(f1, ddof=1)) if len(f1) > 1 else None,
            "error_f1": float(np.mean([run.get("best_validation/ERROR/f1", 0.0) for run in runs])),
            "best_epochs": [int(run["train/best_epoch"]) for run in runs],
            "subwords_per_s": float(np.mean([run["train/subwords_per_s"] for run in runs])),
            "peak_rss_bytes": max(run["train/peak_rss_bytes"] for run in runs),
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


def train(dataset: str, recipe: dict[str, Any], seed: int) -> dict[str, float]:
    """Train once, and return the metrics."""
    settings = {key: value for key, value in recipe.items() if key != "preset"}
    config = load_config(
        recipe.get("preset"), {"data.dataset": dataset, "train.seed": seed, **settings}
    )
    return train_ours(config, prepare(read_corpus(config.data).corpus, config.data))


if __name__ == "__main__":
    main()
