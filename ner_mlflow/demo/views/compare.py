"""Compare: models side by side on the same sentences, against their cost, and over time."""

from dataclasses import replace

import streamlit as st

from ner_mlflow.demo import store
from ner_mlflow.demo.charts import interval_chart, time_chart, tradeoff_chart, type_chart
from ner_mlflow.demo.markup import bold, commands, fill, heading, section, show, table
from ner_mlflow.demo.standing import (
    Scored,
    Variant,
    count_models,
    date,
    distinct,
    latest_of_each,
    scored,
    variants,
)
from ner_mlflow.demo.widgets import choose_one, show_chart
from ner_mlflow.evaluation.comparison import SIGNIFICANCE_LEVEL
from ner_mlflow.tracking.steps import Step

# Evaluations that are read, the latest ones.
SEARCHED = 200
# Models that are shown, the best ones.
SHOWN = 12
# Models whose types are shown at first.
TYPE_MODELS = 4
SEARCHED_EXPORTS = 40


def main() -> None:
    """Show the page."""
    page = store.find_runs(Step.EVALUATE, limit=SEARCHED)
    evaluations = [one for run in page.runs if (one := scored(run))]
    if not evaluations:
        show(heading("Nothing to compare yet", "No model was evaluated in this store. Run:"))
        show(commands(("ner-mlflow evaluate",)))
        return
    group = choose_group(evaluations)
    of_group = [one for one in evaluations if one.group == group]
    order = sorted(latest_of_each(of_group), key=lambda one: (-one.score.f1, one.is_file))
    ranked = order[:SHOWN]
    names = distinct([one.run for one in ranked], [compared_name(one) for one in ranked])
    show_lead(ranked, names, group)
    show_scores(ranked, names)
    show_types(ranked, names)
    show_tradeoff(group)
    show_time(of_group, more=bool(page.next_token))


def compared_name(one: Scored) -> str:
    """Return a name that tells an exported file from the model that it was made from."""
    return f"{one.name} file" if one.is_file else one.name


def choose_group(evaluations: list[Scored]) -> tuple[str, str, str]:
    """Let the user choose what the models were scored on; the one with most models comes first."""
    models: dict[tuple[str, str, str], list[Scored]] = {}
    for one in latest_of_each(evaluations):
        models.setdefault(one.group, []).append(one)
    groups = sorted(models, key=lambda group: -len(models[group]))
    if len(groups) == 1:
        return groups[0]
    return choose_one(
        "Scored on",
        groups,
        "compare_group",
        lambda group: f"{group[2]} of {group[0]} ({group[1][:6]}), {count_models(models[group])}",
    )


def show_lead(
    ranked: list[Scored],
    names: list[str],
    group: tuple[str, str, str],
) -> None:
    """Say which model is best, by how much and how sure that is.

    Its rival is the best of the other models. An exported file is no rival of the model that it was
    made from: what it loses stands behind.
    """
    best = ranked[0]
    kicker = f"{count_models(ranked)} on {group[2]} of {group[0]}"
    rival = next((rank for rank, one in enumerate(ranked) if one.trained != best.trained), None)
    kin = next(
        (
            rank
            for rank, one in enumerate(ranked)
            if one.trained == best.trained and one.is_file != best.is_file
        ),
        None,
    )
    of_kin = fill("")
    if kin is not None:
        other = ranked[kin]
        what = "The model it was made from" if best.is_file else f"Its exported file {other.name}"
        of_kin = fill(" {what} has {f1}.", what=what, f1=f"{other.score.f1:.3f}")
    if rival is None:
        lead = fill(
            "No other model was scored there. Its F1 is {score}.{of_kin} Train another one to "
            "compare.",
            score=bold(best.score),
            of_kin=of_kin,
        )
        show(heading(names[0], lead, kicker))
        return
    gap = best.score.f1 - ranked[rival].score.f1
    if not gap:
        lead = fill("Both have F1 {score}.{of_kin}", score=bold(best.score), of_kin=of_kin)
        show(heading(f"{names[0]} and {names[rival]} are equal", lead, kicker))
        return
    test = store.compare_pair(best.run.id, ranked[rival].run.id)
    if test is None:
        sure = "whether that is significant is unknown, because no predictions are stored"
    elif test.p_value <= SIGNIFICANCE_LEVEL:
        sure = f"the difference is significant (p = {test.p_value:.4f})"
    else:
        sure = f"the difference may be chance (p = {test.p_value:.2f})"
    lead = fill(
        "Its F1 is {score}, {gap} above {second}; {sure}.{of_kin}",
        score=bold(best.score),
        gap=f"{gap:.3f}",
        second=names[rival],
        sure=sure,
        of_kin=of_kin,
    )
    show(heading(f"{names[0]} is best", lead, kicker))


def show_scores(ranked: list[Scored], names: list[str]) -> None:
    """Show F1 with intervals beside a table with p-values."""
    chart, figures = st.columns([1, 1], gap="large")
    with chart:
        show(section("F1", "Strict, on given words; bars are 95 % intervals."))
        show_chart(
            interval_chart(names, [one.score for one in ranked], strong=0),
            "compare_scores",
            "F1 of each model with its interval",
        )
    with figures:
        show(
            section(
                "Figures",
                f"p: paired permutation test against the best one, {store.RESAMPLES:,} "
                "permutations of stored predictions.",
            )
        )
        rows = []
        for one, name in zip(ranked, names, strict=True):
            test = (
                store.compare_pair(ranked[0].run.id, one.run.id) if one is not ranked[0] else None
            )
            scores = one.record.scores
            rows.append(
                (
                    name,
                    f"{one.score.f1:.3f}",
                    f"{scores.get('precision', float('nan')):.3f}",
                    f"{scores.get('recall', float('nan')):.3f}",
                    f"{one.text_score.f1:.3f}" if one.text_score else "–",
                    f"{test.p_value:.4f}" if test else "–",
                )
            )
        columns = ("model", "F1", "precision", "recall", "in text", "p")
        show(table(columns, rows, numeric=5))


def show_types(ranked: list[Scored], names: list[str]) -> None:
    """Show F1 by type of some models."""
    show(section("F1 by type"))
    chosen = names[:TYPE_MODELS]
    if len(names) > 1:
        chosen = st.multiselect("Models", names, default=chosen, key="compare_types")
    shown = [one for one, name in zip(ranked, names, strict=True) if name in chosen]
    if not shown:
        show(fill('<p class="ner-note">Choose a model.</p>'))
        return
    types = sorted({type_.type for one in shown for type_ in one.types})
    show_chart(
        type_chart(shown, [name for name in names if name in chosen], types),
        "compare_type_chart",
        "F1 of each entity type, by model",
    )


def show_tradeoff(group: tuple[str, str, str]) -> None:
    """Show the files of exports on the same dataset against their cost."""
    runs = store.find_runs(Step.EXPORT, limit=SEARCHED_EXPORTS, dataset_fingerprint=group[1]).runs
    files: dict[str, Variant] = {}
    for run in runs:
        for file in variants(run):
            files.setdefault(f"{run.tags.get('model')} {file.variant}", file)
    if not files:
        return
    shown = list(files.values())
    models = {file.run.tags.get("model", file.run.id): file for file in shown}
    names = distinct(
        [file.run for file in models.values()], [file.model for file in models.values()]
    )
    by_model = dict(zip(models, names, strict=True))
    shown = [
        replace(file, model=by_model[file.run.tags.get("model", file.run.id)]) for file in shown
    ]
    show(
        section(
            "F1 against cost",
            "Each point is an exported file, measured by its export on validation. Larger points "
            "are on the Pareto front: no other file is both better and cheaper. Latencies of "
            "different exports were measured at different times: run ner-mlflow compare to measure "
            "them side by side.",
        )
    )
    cost = st.segmented_control(
        "Cost",
        ["latency_ms", "size_mb"],
        default="latency_ms",
        required=True,
        format_func=lambda name: {"latency_ms": "Latency", "size_mb": "Size"}[name],
        key="compare_cost",
        label_visibility="collapsed",
    )
    show_chart(
        tradeoff_chart(shown, cost or "latency_ms"),
        "compare_tradeoff",
        "F1 of exported files against their cost",
    )


def show_time(evaluations: list[Scored], more: bool) -> None:
    """Show F1 over time, and the evaluations as a table."""
    show(
        section(
            "F1 over time",
            f"The latest {SEARCHED} evaluations of the store." if more else "All evaluations.",
        )
    )
    show_chart(
        time_chart(evaluations),
        "compare_time",
        "F1 of evaluations over time",
    )
    with st.expander(f"{len(evaluations)} evaluations"):
        rows = [
            (date(one.run.started_ms), one.name, one.run.name, str(one.score))
            for one in evaluations[:50]
        ]
        show(table(("UTC", "model", "run", "F1 and interval"), rows, numeric=1))


if __name__ == "__main__":
    main()
