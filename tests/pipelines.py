"""A small corpus, and the runs of a pipeline on it: what the tests of workflows share."""

from dataclasses import dataclass
from pathlib import Path

from ner_mlflow.config.schema import Config
from ner_mlflow.workflows.data import TrackedDataset
from ner_mlflow.workflows.pipeline import PresetResult

SPLITS = {"train": 60, "validation": 12, "test": 12}


@dataclass(frozen=True)
class Finished:
    """The runs of one preset in a store, below the main run ``parent``."""

    store: str
    preset: Path
    config: Config
    parent: str
    data: TrackedDataset
    result: PresetResult


def write_corpus(folder: Path) -> Path:
    """Write a corpus of short sentences with two entity types."""
    folder.mkdir()
    for split, count in SPLITS.items():
        lines = [
            f"I\tO\nuse\tO\nUbuntu\tB-OS\n{number}.04\tB-VERSION\n{split}\tO\n"
            for number in range(count)
        ]
        (folder / f"{split}.conll").write_text("\n".join(lines), encoding="utf-8")
    return folder
