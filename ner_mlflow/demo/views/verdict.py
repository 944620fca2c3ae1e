"""Verdict: which model is served, how good the file is, and how it came to be the champion."""

import streamlit as st
from markupsafe import Markup

from ner_mlflow.data.running_text import KIND_NAMES
from ner_mlflow.demo import store
from ner_mlflow.demo.champions import judged_version, scores_of, served_variant
from ner_mlflow.demo.charts import interval_chart
from ner_mlflow.demo.markup import (
    bold,
    chip,
    commands,
    fill,
    heading,
    join,
    section,
    show,
    table,
    tile,
    tiles,
)
from ner_mlflow.demo.standing import (
    Promotion,
    Scored,
    Variant,
    alias_of,
    date,
    promotion,
)
from ner_mlflow.demo.widgets import choose_one, show_chart
from ner_mlflow.tracking.overview import ModelSummary, VersionSummary
from ner_mlflow.tracking.steps import Step

SHOWN_PROMOTIONS = 10
START = ("mlflow run . --env-manager local            # or, installed:", "ner-mlflow main")


def main() -> None:
    """Show the page."""
    models = store.models()
    if not models:
        show_empty()
        return
    names = [model.name for model in models]
    name = names[0]
    if len(names) > 1:
        name = choose_one("Registered model", names, "verdict_model")
    show_model(next(model for model in models if model.name == name))


def show_empty() -> None:
    """Say what to run where no model is registered yet."""
    lead = "No model is registered in this store yet. This makes one, in about five minutes:"
    if store.find_runs(Step.TRAIN, limit=1).runs:
        lead = (
            "This store has trained models, but none is registered yet. Export one, or run all "
            "steps:"
        )
    show(heading("Nothing to judge yet", lead))
    show(commands(START))


def show_model(model: ModelSummary) -> None:
    """Show the verdict on one registered model."""
    versions = store.versions(model.name)
    if not versions:
        show(heading(model.name, "This registered model has no version. Register one:"))
        show(commands(("ner-mlflow export",)))
        return
    alias = alias_of(model)
    holder = model.aliases.get(alias, "")
    version = judged_version(model) or versions[0]
    scores = scores_of(version)
    served = served_variant(version)
    decisions = [
        decision
        for run in store.promotions(model.name)
        if (decision := promotion(run)) and (not alias or decision.alias == alias)
    ]
    is_champion = bool(alias) and version.version == holder
    show(
        heading(
            verdict_title(version, alias if is_champion else ""),
            verdict_sentence(scores),
            f"{model.name} · {len(versions)} version{'s' * (len(versions) != 1)}",
        )
    )
    show(tiles(verdict_tiles(scores, served)))
    chart, why = st.columns([3, 2], gap="large")
    with chart:
        if scores and scores.types:
            ordered = sorted(scores.types, key=lambda type_: -type_.score.f1)
            show(section("F1 by type", interval_note(scores)))
            show_chart(
                interval_chart(
                    [f"{type_.type}  n={type_.support}" for type_ in ordered],
                    [type_.score for type_ in ordered],
                ),
                "verdict_types",
                "F1 of each entity type, with its interval",
            )
    with why:
        show(section("Why this one"))
        show(fill('<p class="ner-why">{text}</p>', text=reason_text(version, alias, is_champion)))
        if version.description:
            with st.expander("Description of the version"):
                show(fill('<div class="ner-text">{text}</div>', text=version.description))
    show_history(model, alias, decisions)
    show_versions(versions, model)


def verdict_title(version: VersionSummary, alias: str) -> str:
    """Return the title: which version it is about, and its standing."""
    if alias:
        return f"{version.name} version {version.version} is the {alias}"
    return f"{version.name} version {version.version} is the latest; no version has an alias"


def verdict_sentence(scores: Scored | None) -> Markup:
    """Return one plain sentence about the quality of a version."""
    if scores is None:
        return fill("No evaluation of this version is in the store: run ner-mlflow evaluate.")
    what = "The file it serves" if scores.is_file else "The model it was exported from"
    parts = [
        fill(
            "{what} finds entities with {f1}{interval} on {split} of {dataset}",
            what=what,
            f1=bold(f"F1 {scores.score.f1:.3f}"),
            interval=f" ({scores.score.interval})" if scores.score.interval else "",
            split=scores.record.split,
            dataset=scores.record.dataset,
        )
    ]
    if scores.weakest:
        parts.append(
            fill(
                "its weakest type is {type} with {f1}",
                type=bold(scores.weakest.type),
                f1=f"{scores.weakest.score.f1:.3f}",
            )
        )
    note = "" if scores.is_file else " The served file itself was not scored on this split."
    return fill("{parts}.{note}", parts=join(parts, "; "), note=note)


def verdict_tiles(scores: Scored | None, served: Variant | None) -> list[Markup]:
    """Return the figures below the verdict."""
    found = []
    if scores:
        split = scores.record.split
        found.append(tile(f"F1 on {split}", f"{scores.score.f1:.3f}", scores.score.interval))
        if scores.text_score:
            kind = KIND_NAMES[scores.record.text_kind]
            found.append(
                tile(f"F1 on {kind}", f"{scores.text_score.f1:.3f}", scores.text_score.interval)
            )
        if weakest := scores.weakest:
            found.append(
                tile(
                    "Weakest type",
                    weakest.type,
                    f"F1 {weakest.score}, n = {weakest.support}",
                )
            )
    if served:
        latency = "" if served.latency_ms != served.latency_ms else f"{served.latency_ms:.1f} ms"
        found.append(
            tile(
                "Served file",
                f"{served.size_mb:.1f} MB",
                f"{served.variant}{f', a sentence in {latency} when exported' * bool(latency)}",
            )
        )
    return found


def interval_note(scores: Scored) -> str:
    """Return what a chart of types shows."""
    n = sum(type_.support for type_ in scores.types)
    return f"Strict, on given words of {scores.record.split}; bars are 95 % intervals; n = {n}."


def reason_text(version: VersionSummary, alias: str, is_champion: bool) -> str:
    """Return why a version has its alias, from its tags."""
    tags = version.tags
    if not is_champion:
        return "It is the version that was registered last; none was promoted yet."
    reason = tags.get("promotion_reason", "")
    if not reason:
        return f"The alias {alias} was set by hand or at registration; no promotion is recorded."
    before = f"version {tags['promoted_from']}" if tags.get("promoted_from") else "no version"
    who, when = tags.get("promoted_by", ""), tags.get("promoted_at", "")[:16].replace("T", " ")
    by = f" by {who}" if who else ""
    first = f"Promoted{by} on {when} UTC, after {before}: {reason}."
    if tags.get("restored_at"):
        first += f" It came back by a rollback on {tags['restored_at'][:16].replace('T', ' ')} UTC."
    return first


def show_history(model: ModelSummary, alias: str, decisions: list[Promotion]) -> None:
    """Show who had the alias, and each decision about it."""
    if not alias:
        return
    history = model.histories.get(alias, ())
    order = " → ".join(f"version {number}" for number in history[-12:])
    show(section("Promotions", f"{alias}: {order}" if order else ""))
    if not decisions:
        show(fill('<p class="ner-note">No promotion was run for this model.</p>'))
        return
    rows = [
        (
            fill("{when}", when=date(decision.when_ms)),
            short_address(decision.candidate),
            short_address(decision.champion),
            chip(decision.outcome, decision.kind),
            decision.reason or "–",
        )
        for decision in decisions[:SHOWN_PROMOTIONS]
    ]
    show(table(("UTC", "candidate", "against", "outcome", "why"), rows))
    if len(decisions) > SHOWN_PROMOTIONS:
        rest = len(decisions) - SHOWN_PROMOTIONS
        show(fill('<p class="ner-note">{rest} earlier ones are not shown.</p>', rest=rest))


def show_versions(versions: list[VersionSummary], model: ModelSummary) -> None:
    """Show all versions in a table."""
    with st.expander(f"All {len(versions)} versions" if len(versions) > 1 else "The version"):
        rows = [
            (
                version.version,
                ", ".join(
                    a for a, number in sorted(model.aliases.items()) if number == version.version
                )
                or "–",
                version.origin.preset or "–",
                version.origin.variant or "–",
                date(version.created_ms),
            )
            for version in versions[:50]
        ]
        show(table(("version", "aliases", "preset", "variant", "registered, UTC"), rows))


def short_address(address: str) -> str:
    """Return a version's address without what is the same for all."""
    head, _, number = address.rpartition("/")
    return f"version {number}" if head.startswith("models:/") else address


if __name__ == "__main__":
    main()
