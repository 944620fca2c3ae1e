"""What each step returns; tracking writes it down, workflows pass it on."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True)
class TrainResult:
    """A fitted model on disk and how it came to be.

    ``model_folder`` holds a whole transformers model (adapters merged); ``adapter_folder`` the adapters and classifier alone,
    for LoRA. ``metrics`` hold ``best_validation/f1`` and the other scores of the kept epoch, counts of parameters, speed and memory.
    """

    model_folder: Path
    adapter_folder: Path | None
    metrics: dict[str, float]
    figures: dict[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class EvalReport:
    """Scores of one split with the tables and plots that explain them; names as logged.

    ``predictions`` has a row for each sentence, columns ``tokens``, ``gold``, ``predicted`` and ``probabilities``, each a list.
    """

    metrics: dict[str, float]
    tables: dict[str, pd.DataFrame]
    pages: dict[str, str]
    figures: dict[str, Figure]
    predictions: pd.DataFrame


@dataclass(frozen=True)
class VariantReport:
    """One exported file with its proof.

    ``failures`` says in words what does not hold; empty means proven.
    """

    name: str
    folder: Path
    metrics: dict[str, float]
    failures: tuple[str, ...]


@dataclass(frozen=True)
class ExportReport:
    """All exported variants and the one to serve, with the tables and plots that compare them; names as logged."""

    variants: tuple[VariantReport, ...]
    served: VariantReport
    tables: dict[str, pd.DataFrame]
    figures: dict[str, Figure]
