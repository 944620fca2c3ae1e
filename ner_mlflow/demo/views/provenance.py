"""Data and provenance: what models were trained on, and what a result depends on."""

from collections.abc import Mapping

import streamlit as st

from ner_mlflow.config.loading import flatten
from ner_mlflow.config.schema import Config
from ner_mlflow.data.dataset import PreparedDataset
from ner_mlflow.data.findings import finding_kinds
from ner_mlflow.data.highlights import split_parts
from ner_mlflow.data.inspection import EFFECTS
from ner_mlflow.data.sentences import SPLITS
from ner_mlflow.demo import store
from ner_mlflow.demo.charts import counts_chart
from ner_mlflow.demo.markup import (
    chip,
    commands,
    fill,
    heading,
    join,
    legend,
    section,
    sentence,
    show,
    table,
    type_hues,
)
from ner_mlflow.demo.standing import date, differing
from ner_mlflow.demo.widgets import choose_one, show_chart
from ner_mlflow.tracking.queries import RunSummary
from ner_mlflow.tracking.steps import Step

# Datasets and trainings to choose from, the latest ones.
SEARCHED = 50
# Sentences on a page.
PAGE = 8
CHANGES = "changes/"
PROVENANCE_TAGS = {
    "git_commit": "Commit",
    "package_version": "Version of this package",
    "cpu": "CPU",
    "accelerator": "Accelerator",
    "dataset_fingerprint": "Fingerprint of the dataset",
    "backbone": "Backbone",
    "backbone_revision": "Revision of the backbone",
}


def main() -> None:
    """Show the page."""
    runs = list(store.find_runs(Step.DATA, limit=SEARCHED).runs)
    if not runs:
        show(heading("No dataset yet", "No dataset was prepared in this store. Run:"))
        show(commands(("ner-mlflow data --dataset sample",)))
        return
    run = choose(runs, "Dataset", "provenance_data")
    prepared = store.dataset(run.id)
    types = list(prepared.schema.types) if prepared else []
    show_lead(run, types)
    show_counts(run, types)
    if prepared:
        show_sentences(prepared, types)
    show_changes(run)
    show_origin(run)


def choose(runs: list[RunSummary], label: str, key: str) -> RunSummary:
    """Let the user choose a run, where there are several."""
    if len(runs) == 1:
        return runs[0]
    by_id = {run.id: run for run in runs}

    def text(id_: str) -> str:
        run = by_id[id_]
        return f"{run.tags.get('dataset') or run.name} · {date(run.started_ms)} · {id_[:6]}"

    return by_id[choose_one(label, list(by_id), key, text)]


def show_lead(run: RunSummary, types: list[str]) -> None:
    """Say how large the dataset is."""
    sentences = {split: counted(run, f"prepared/{split}/sentences") for split in SPLITS}
    entities = sum(counted(run, f"prepared/{split}/entities") for split in SPLITS)
    lead = fill(
        "{sentences} sentences with {entities} entities of {types} types, in {splits}.",
        sentences=f"{sum(sentences.values()):,}",
        entities=f"{entities:,}",
        types=len(types) or "some",
        splits=", ".join(f"{split} {count:,}" for split, count in sentences.items()),
    )
    name = run.tags.get("dataset") or run.name
    show(heading(name, lead, f"prepared {date(run.started_ms)} UTC, run {run.id[:8]}"))


def counted(run: RunSummary, name: str) -> int:
    """Return a count among a run's metrics, 0 where there is none."""
    return round(run.metrics.get(name, 0))


def show_counts(run: RunSummary, types: list[str]) -> None:
    """Show entities by type and split, beside the statistics before and after preparation."""
    counts = {
        split: {
            type_: run.metrics.get(f"prepared/{split}/{type_}/entities", 0.0) for type_ in types
        }
        for split in SPLITS
    }
    chart, figures = st.columns([3, 2], gap="large")
    with chart:
        show(section("Entities by type", "After preparation."))
        if types:
            show_chart(
                counts_chart(counts),
                "provenance_counts",
                "Entities by type and split",
            )
    with figures:
        show(section("Before and after", "Source: as read. Prepared: as trained on."))
        statistics = store.table(run.id, "statistics")
        if statistics is not None:
            rows = [
                (
                    row["stage"],
                    row["split"],
                    f"{row['sentences']:,.0f}",
                    f"{row['entities']:,.0f}",
                    f"{row['tokens_mean']:.1f}",
                )
                for row in statistics.to_dict("records")
            ]
            columns = ("stage", "split", "sentences", "entities", "words each")
            show(table(columns, rows, numeric=3))


def show_sentences(prepared: PreparedDataset, types: list[str]) -> None:
    """Show sentences of a split in colour, page by page."""
    show(section("Sentences"))
    hues = type_hues(types)
    columns = st.columns([2, 2, 1], vertical_alignment="bottom")
    split = columns[0].segmented_control(
        "Split", list(SPLITS), default=SPLITS[0], required=True, key="provenance_split"
    )
    wanted = columns[1].selectbox("With the type", ["(any)", *types], key="provenance_type")
    sentences = prepared.corpus[split or SPLITS[0]]
    tag = f"B-{wanted}"
    found = [
        index
        for index in range(min(len(sentences), 5000))
        if wanted == "(any)" or tag in sentences[index].tags
    ]
    pages = max(1, -(-len(found) // PAGE))
    if st.session_state.get("provenance_page", 1) > pages:
        st.session_state["provenance_page"] = 1
    page = int(columns[2].number_input(f"Page of {pages}", 1, pages, key="provenance_page"))
    show(legend(types, hues))
    rows = [
        fill(
            '<div class="ner-case">{text}</div>',
            text=sentence(split_parts(sentences[index].tokens, sentences[index].tags), hues),
        )
        for index in found[(page - 1) * PAGE : page * PAGE]
    ]
    show(join(rows) if rows else fill("<p>None.</p>"))


def show_changes(run: RunSummary) -> None:
    """Show what was left out, changed or noted in preparation."""
    show(section("What preparation changed"))
    kinds = finding_kinds()
    rows = []
    for name, count in run.metrics.items():
        if not name.startswith(CHANGES):
            continue
        split, _, kind = name.removeprefix(CHANGES).rpartition("/")
        known = kinds.get(kind)
        effect = known.effect if known else "noted"
        title = known.title if known else kind
        rows.append((effect, title, split or "all", f"{count:,.0f}"))
    if not rows:
        show(fill("<p>Nothing was left out, changed or noted.</p>"))
        return
    order = {effect: position for position, effect in enumerate(EFFECTS)}
    rows.sort(key=lambda row: (order.get(row[0], len(order)), row[1], row[2]))
    shown = [(chip(effect), title, split, count) for effect, title, split, count in rows]
    show(table(("effect", "what", "split", "count"), shown, numeric=1))


def show_origin(data_run: RunSummary) -> None:
    """Show commit, libraries and settings of the dataset, or of a training on it."""
    show(section("Where results come from", "Settings are shown where they differ from the base."))
    trainings = store.find_runs(Step.TRAIN, limit=SEARCHED, data_run=data_run.id).runs
    runs = [*trainings, data_run]
    by_id = {run.id: run for run in runs}
    chosen = choose_one(
        "Run",
        list(by_id),
        "provenance_run",
        lambda id_: f"{by_id[id_].name} · {date(by_id[id_].started_ms)}",
    )
    run = by_id[chosen]
    facts, settings = st.columns([2, 3], gap="large")
    with facts:
        rows = [("Run", run.id), ("Status", run.status.lower())]
        rows += [
            (title, run.tags[name]) for name, title in PROVENANCE_TAGS.items() if run.tags.get(name)
        ]
        show(table(("fact", "value"), rows))
        libraries = store.values(run.id, "provenance").get("libraries")
        if isinstance(libraries, Mapping):
            with st.expander("Libraries"):
                show(table(("library", "version"), sorted(libraries.items())))
    with settings:
        show_settings(run)


def show_settings(run: RunSummary) -> None:
    """Show the settings of a run that differ from the defaults."""
    logged = store.values(run.id, "config")
    flat = {
        f"{section}.{name}": value
        for section, of_section in logged.items()
        if isinstance(of_section, Mapping)
        for name, value in of_section.items()
    }
    rows = differing(flat, flatten(Config()))
    if not flat:
        show(fill('<p class="ner-note">This run logged no settings.</p>'))
    elif not rows:
        show(fill("<p>All settings are those of the base.</p>"))
    else:
        show(table(("setting", "value", "base"), rows))


if __name__ == "__main__":
    main()
