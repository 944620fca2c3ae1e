"""The version that a registered model is judged by, and the scores of the file that it serves."""

from ..tracking.overview import ModelSummary, VersionSummary
from ..tracking.steps import Step
from . import store
from .standing import Scored, Variant, alias_of, scored, variants

EVALUATIONS = 5
"""Evaluations of one model that are read to find one with scores."""


def judged_version(model: ModelSummary) -> VersionSummary | None:
    """Return the version with the model's alias, or else the latest; None: it has no version."""
    versions = store.versions(model.name)
    holder = model.aliases.get(alias_of(model), "")
    latest = versions[0] if versions else None
    return next((version for version in versions if version.version == holder), latest)


def scores_of(version: VersionSummary) -> Scored | None:
    """Return the scores of a version, of the file that it serves if that was scored.

    A version's tag names its evaluation. If that is of the model before its export, an evaluation
    of the version's own files goes first.
    """
    run = store.find_run(version.origin.evaluate_run)
    tagged = scored(run) if run else None
    if tagged and (tagged.is_file or tagged.record.model == version.source):
        return tagged
    return (
        _evaluation_of(version.address)
        or _evaluation_of(version.source)
        or tagged
        or _evaluation_of(version.origin.model)
    )


def served_variant(version: VersionSummary) -> Variant | None:
    """Return the exported file of a version as its export measured it."""
    run = store.find_run(version.origin.export_run)
    files = variants(run) if run else []
    return next((file for file in files if file.variant == version.origin.variant), None)


def _evaluation_of(address: str) -> Scored | None:
    if not address:
        return None
    runs = store.find_runs(Step.EVALUATE, limit=EVALUATIONS, model=address).runs
    return next(filter(None, map(scored, runs)), None)
