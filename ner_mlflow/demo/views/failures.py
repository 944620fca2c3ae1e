"""Where it fails: confusions to click, the sentences behind them, slices and perturbations."""

from typing import Any

import streamlit as st
from markupsafe import Markup

from ner_mlflow.config.schema import EvaluateConfig
from ner_mlflow.data.highlights import split_parts
from ner_mlflow.demo import store
from ner_mlflow.demo.champions import judged_version, scores_of
from ner_mlflow.demo.charts import confusion_chart, robustness_chart
from ner_mlflow.demo.explorer import (
    ANY,
    CATEGORY_TEXTS,
    ERRORS,
    Case,
    Filter,
    Found,
    category_counts,
    confusion,
    describe,
    find,
    read_cases,
    slice_criteria,
    slice_rows,
)
from ner_mlflow.demo.markup import (
    bold,
    chip,
    commands,
    fill,
    heading,
    join,
    section,
    sentence,
    show,
    table,
    type_hues,
)
from ner_mlflow.demo.standing import Scored, distinct, latest_of_each, scored
from ner_mlflow.demo.style import CHART_CONFIG
from ner_mlflow.demo.widgets import choose_one, show_chart
from ner_mlflow.evaluation.error_analysis import CATEGORIES
from ner_mlflow.evaluation.plots import SLICED_BY
from ner_mlflow.evaluation.slices import Criterion
from ner_mlflow.tagging.iob2 import OUTSIDE
from ner_mlflow.tracking.steps import Step

# Evaluations to choose from, the latest ones.
SEARCHED = 60
# Registered models whose evaluations come first.
MODELS = 3
# Sentences on a page of the explorer.
PAGE = 6
GOLD, PREDICTED, CATEGORY = "failures_gold", "failures_predicted", "failures_category"
BY, PART, NUMBER, MATRIX = "failures_by", "failures_part", "failures_page", "failures_matrix"
# How the filters name the tag ``O``.
NOTHING = "(nothing)"


def main() -> None:
    """Show the page."""
    runs = store.find_runs(Step.EVALUATE, limit=SEARCHED).runs
    evaluations = latest_of_each([*champions(), *(one for run in runs if (one := scored(run)))])
    if not evaluations:
        show(heading("No errors to show yet", "No model was evaluated in this store. Run:"))
        show(commands(("ner-mlflow evaluate",)))
        return
    chosen = choose(evaluations)
    predictions = store.predictions(chosen.run.id)
    if predictions is None:
        show(heading(chosen.name, "This evaluation stored no predictions: run it again."))
        return
    types = store.types_of(predictions)
    cases = read_cases(predictions)
    show_lead(chosen, cases)
    show_confusion(cases, types)
    slices = read_slices(chosen, cases)
    show_explorer(cases, types, slices)
    show_slices(cases, slices)
    show_robustness(chosen)


def champions() -> list[Scored]:
    """Return the scores that the registered models are judged by, which are shown first."""
    versions = [judged_version(model) for model in store.models()[:MODELS]]
    return [scores for version in versions if version and (scores := scores_of(version))]


def choose(evaluations: list[Scored]) -> Scored:
    """Let the user choose an evaluation."""
    names = distinct(
        [one.run for one in evaluations],
        [f"{one.name}, {one.record.split} of {one.record.dataset}" for one in evaluations],
    )
    by_id = {one.run.id: (one, name) for one, name in zip(evaluations, names, strict=True)}
    chosen = choose_one("Evaluation", list(by_id), "failures_run", lambda id_: by_id[id_][1])
    return by_id[chosen][0]


def show_lead(chosen: Scored, cases: list[Case]) -> None:
    """Say how many entities go wrong, and in which way most do."""
    counts = category_counts(cases)
    errors = sum(counts.values()) - counts["correct"]
    gold = sum(outcome.gold is not None for case in cases for outcome in case.outcomes)
    kicker = f"{chosen.name} on {chosen.record.split} of {chosen.record.dataset}"
    if not errors:
        show(heading("No error", f"All {gold:,} entities are right.", kicker))
        return
    worst = max((name for name in CATEGORIES if name != "correct"), key=lambda name: counts[name])
    lead = fill(
        "{right} of {gold} gold entities are found correctly. The most frequent error is {worst}: "
        "{text} ({count} times).",
        right=bold(f"{counts['correct']:,}"),
        gold=f"{gold:,}",
        worst=bold(worst),
        text=CATEGORY_TEXTS[worst],
        count=f"{counts[worst]:,}",
    )
    show(heading(f"{errors:,} errors in {len(cases):,} sentences", lead, kicker))


def show_confusion(cases: list[Case], types: list[str]) -> None:
    """Show which types are taken for which; a click sets the filters below."""
    show(
        section(
            "Gold and predicted types",
            "Entities; colours are shares of a row, red where the types differ. O: no entity. "
            "Click a cell to see its sentences below.",
        )
    )
    chart, figures = st.columns([3, 2], gap="large")
    with chart:
        st.session_state["failures_names"] = [*types, OUTSIDE]
        st.plotly_chart(
            confusion_chart(confusion(cases, types)),
            config=CHART_CONFIG,
            key=MATRIX,
            on_select=take_click,
            selection_mode="points",
            alt="Confusion matrix of entity types",
        )
    with figures:
        counts = category_counts(cases)
        rows = [
            (chip(name, "good" if name == "correct" else ""), CATEGORY_TEXTS[name], f"{count:,}")
            for name, count in counts.items()
        ]
        show(table(("category", "meaning", "entities"), rows, numeric=1))


def take_click() -> None:
    """Set the filters to the cell that was clicked."""
    event: Any = st.session_state.get(MATRIX)
    points = event["selection"]["points"] if event else []
    names = st.session_state.get("failures_names", [])
    if not points:
        return
    row, column = points[0]["customdata"]
    if not (0 <= row < len(names) and 0 <= column < len(names)):
        return
    st.session_state[GOLD] = NOTHING if names[row] == OUTSIDE else names[row]
    st.session_state[PREDICTED] = NOTHING if names[column] == OUTSIDE else names[column]
    st.session_state[CATEGORY] = ANY if row == column else ERRORS
    st.session_state[NUMBER] = 1


def read_slices(chosen: Scored, cases: list[Case]) -> dict[str, Criterion]:
    """Return the criteria of slices, empty where the dataset is gone."""
    dataset = store.dataset(chosen.record.data_run)
    if dataset is None:
        return {}
    logged = store.values(chosen.run.id, "config").get("evaluate")
    edges = logged if isinstance(logged, dict) else {}
    known = {name: edges[name] for name in ("length_edges", "frequency_edges") if name in edges}
    config = EvaluateConfig().model_copy(update=known)
    return slice_criteria(cases, dataset.gold_train, config, dataset.weak_train)


def show_explorer(cases: list[Case], types: list[str], slices: dict[str, Criterion]) -> None:
    """Show sentences by filters, page by page."""
    show(section("Sentences"))
    filters = choose_filter(types, slices)
    found = find(cases, filters, slices)
    pages = max(1, -(-len(found) // PAGE))
    if st.session_state.get(NUMBER, 1) > pages:
        st.session_state[NUMBER] = 1
    count, number = st.columns([4, 1], vertical_alignment="bottom")
    page = number.number_input(f"Page of {pages}", 1, pages, key=NUMBER)
    entities = sum(len(one.outcomes) for one in found)
    with count:
        show(
            fill(
                '<p class="ner-note">{sentences} sentences with {entities} such entities</p>',
                sentences=f"{len(found):,}",
                entities=f"{entities:,}",
            )
        )
    hues = type_hues(types)
    shown = found[(int(page) - 1) * PAGE : int(page) * PAGE]
    show(join(render(one, hues) for one in shown) if shown else fill("<p>None.</p>"))


def choose_filter(types: list[str], slices: dict[str, Criterion]) -> Filter:
    """Show the filters and return what they say."""
    names = [ANY, *types, NOTHING]
    for key in (GOLD, PREDICTED):  # another evaluation may have other types
        if st.session_state.get(key, ANY) not in names:
            st.session_state[key] = ANY
    columns = st.columns(5)
    gold = columns[0].selectbox("Gold type", names, key=GOLD)
    predicted = columns[1].selectbox("Predicted type", names, key=PREDICTED)
    category = columns[2].selectbox("Category", [ERRORS, *CATEGORIES, ANY], key=CATEGORY)
    by = ANY
    if slices:
        by = columns[3].selectbox(
            "Slice by", [ANY, *slices], format_func=lambda name: SLICED_BY.get(name, name), key=BY
        )
    parts = [ANY, *(slices[by].names if by in slices else [])]
    if st.session_state.get(PART, ANY) not in parts:
        st.session_state[PART] = ANY
    part = columns[4].selectbox("Slice", parts, key=PART) if by in slices else ANY
    plain = {NOTHING: OUTSIDE}
    return Filter(plain.get(gold, gold), plain.get(predicted, predicted), category, by, part)


def render(found: Found, hues: dict[str, str]) -> Markup:
    """Return a sentence with its gold and its predicted entities, and what is wrong."""
    case = found.case
    outcomes = [
        fill(
            "<span>{chip} {text}</span>",
            chip=chip(outcome.category, "good" if outcome.correct else "bad"),
            text=describe(case, outcome),
        )
        for outcome in found.outcomes
    ]
    origin = case.origin or f"sentence {case.index + 1}"
    outcomes.append(fill('<span class="ner-note">{origin}</span>', origin=origin))
    rows = [
        ("gold", sentence(split_parts(case.sentence.tokens, case.sentence.tags), hues)),
        ("predicted", sentence(split_parts(case.sentence.tokens, case.predicted), hues)),
        ("what", fill('<span class="ner-what">{text}</span>', text=join(outcomes))),
    ]
    return fill(
        '<div class="ner-case">{rows}</div>',
        rows=join(
            fill(
                '<div class="ner-row"><span>{name}</span><span>{text}</span></div>', name=n, text=t
            )
            for n, t in rows
        ),
    )


def show_slices(cases: list[Case], slices: dict[str, Criterion]) -> None:
    """Show the share of gold entities that is found rightly in each slice."""
    if not slices:
        return
    show(
        section(
            "Slices",
            "Gold entities in parts of the split. Found: with the right span and type. Parts "
            "without gold entities are left out.",
        )
    )
    rows = [
        (SLICED_BY.get(by, by), part, f"{gold:,}", f"{wrong:,}", f"{1 - wrong / gold:.0%}")
        for by, part, gold, wrong in slice_rows(cases, slices)
        if gold
    ]
    show(table(("by", "slice", "gold", "wrong", "found"), rows, numeric=3))


def show_robustness(chosen: Scored) -> None:
    """Show F1 on perturbed sentences, if it was measured on this dataset."""
    fingerprint = chosen.record.dataset_fingerprint
    runs = store.find_runs(Step.ROBUSTNESS, limit=20, dataset_fingerprint=fingerprint).runs
    measured = {
        run.id: (run, frame)
        for run in runs
        if (frame := store.table(run.id, "robustness")) is not None and len(frame)
    }
    show(section("Perturbed sentences"))
    if not measured:
        note = "Robustness was not measured on this dataset. Run:"
        show(fill('<p class="ner-note">{note}</p>', note=note))
        show(commands((f"ner-mlflow robustness --model {chosen.record.model}",)))
        return
    ids = list(measured)
    same = [id_ for id_ in ids if measured[id_][0].tags.get("model") == chosen.record.model]
    run_id = st.selectbox(
        "Measured for",
        ids,
        index=ids.index(same[0]) if same else 0,
        format_func=lambda id_: measured[id_][0].tags.get("model", measured[id_][0].name),
        key="failures_robustness",
    )
    note = "F1 by kind and severity, the most harmful first; the dashed line is F1 without changes."
    show(fill('<p class="ner-note">{note}</p>', note=note))
    show_chart(
        robustness_chart(measured[run_id][1]),
        "failures_robustness_chart",
        "F1 on perturbed sentences",
    )


if __name__ == "__main__":
    main()
