"""Say in a few sentences what a comparison of models comes to."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..data.running_text import KIND_NAMES
from .comparison import (
    SIGNIFICANCE_LEVEL,
    VALIDATION_F1,
    ComparedModel,
    ComparisonReport,
    ServedFile,
)

FEWEST_ENTITIES = 10
"""A type with fewer gold entities is not called the weakest, since its F1 is mostly chance."""


@dataclass(frozen=True)
class Registration:
    """What became of the best model in the registry.

    Attributes:
        address: the registered version, such as ``models:/it-ner/3``; empty while it waits until
            the tracking store answers.
        alias: the alias that it was meant to get.
        has_alias: True if it has the alias now.
        reason: why it has the alias, or why not; empty if there is nothing to say.
    """

    address: str
    alias: str
    has_alias: bool
    reason: str = ""


def conclude(
    report: ComparisonReport, split: str, registration: Registration | None = None
) -> tuple[str, ...]:
    """Return what a reader needs to decide, in sentences that belong together.

    They say which model is the best and whether the difference is significant, where it is weakest,
    what its served file reaches, and what was registered and why.

    Args:
        report: the comparison. The best model is the one with the best validation F1, since the
            scores on ``split`` must not choose it.
        split: the split of the scores.
        registration: what became of the best model; None: nothing was registered.
    """
    best = report.best
    parts = [_best(report, best, split), _weakest(report, best)]
    if best.served:
        parts.append(_served(report, best.served, split))
    if registration:
        parts.append(_registered(registration))
    return tuple(part for part in parts if part)


def _best(report: ComparisonReport, best: ComparedModel, split: str) -> str:
    scores = best.scores
    sentences, entities = best.counts.shape[0], int(best.counts[..., 2].sum())
    measured = (
        f"{split} F1 {scores['f1']:.4f} ({_interval(report, scores)}) "
        f"on {sentences:,} sentences with {entities:,} entities"
    )
    others = [model for model in report.models if model is not best]
    if not others:
        return f"{best.name} was trained: {measured}."
    other = max(others, key=lambda model: model.scores["f1"])
    difference = scores["f1"] - other.scores["f1"]
    p_value = report.p_value(best, other)
    validation = best.facts.get(VALIDATION_F1, float("nan"))
    chosen = (
        f"{best.name} has the best validation F1 ({validation:.4f}) of {len(others) + 1} models"
    )
    compared = f"{abs(difference):.4f} {'above' if difference >= 0 else 'below'} {other.name}"
    significant = (
        "which is significant"
        if p_value <= SIGNIFICANCE_LEVEL
        else "which is not significant, so either may be the better one"
    )
    return f"{chosen}: {measured}. This is {compared} (p {p_value:.2g}), {significant}."


def _weakest(report: ComparisonReport, best: ComparedModel) -> str:
    gold = best.counts.sum(axis=0)[:, 2]
    scored = [
        (best.scores[f"{type_}/f1"], type_, int(count))
        for type_, count in zip(report.types, gold, strict=True)
        if count >= FEWEST_ENTITIES and f"{type_}/f1" in best.scores
    ]
    if len(scored) < 2:
        return ""
    f1, type_, count = min(scored)
    return f"Its weakest type is {type_}: F1 {f1:.4f} on {count:,} entities."


def _served(report: ComparisonReport, served: ServedFile, split: str) -> str:
    scores, lost = served.scores, served.f1_lost
    name = f"The served file ({served.variant}, {served.size_mb:.0f} MB)"
    if not scores:
        return f"{name} was not scored on {split}."
    against = (
        f"{abs(lost):.4f} {'below' if lost > 0 else 'above'} the PyTorch model"
        if np.round(lost, 4)
        else "as the PyTorch model"
    )
    parts = [f"{name} has {split} F1 {scores['f1']:.4f} ({_interval(report, scores)}), {against}"]
    if served.text_scores:
        kind = KIND_NAMES[served.text_kind]
        parts.append(f"on {kind} it has {served.text_scores['f1']:.4f}")
    return f"{'; '.join(parts)}."


def _interval(report: ComparisonReport, scores: Mapping[str, float]) -> str:
    percent = 100 * report.confidence_level
    return f"{percent:g} % interval {scores['f1_low']:.4f} to {scores['f1_high']:.4f}"


def _registered(registration: Registration) -> str:
    address, alias, reason = registration.address, registration.alias, registration.reason
    because = f": {reason}" if reason else ""
    if not address:
        return f"It is not registered yet{because}."
    if registration.has_alias:
        return f"It is registered as {address} and is the {alias}{because}."
    return f"It is registered as {address} and is not the {alias}{because}."
