"""Try it: entities of your own texts, two models side by side, and corrections to keep."""

import time

import pandas as pd
import streamlit as st

from ner_mlflow.demo import store
from ner_mlflow.demo.annotations import (
    Answer,
    Difference,
    check_length,
    corrected,
    difference,
    read_texts,
    spans,
    to_annotation,
    to_csv,
    to_jsonl,
)
from ner_mlflow.demo.markup import (
    bold,
    commands,
    fill,
    heading,
    legend,
    plain,
    running_text,
    section,
    show,
    table,
    type_hues,
)
from ner_mlflow.demo.standing import alias_of, variants, version_label
from ner_mlflow.errors import NerError
from ner_mlflow.tagging.recognizer import TextEntity
from ner_mlflow.tracking.flavors import EXAMPLE
from ner_mlflow.tracking.steps import Step

# Versions of a registered model to choose from, the latest ones.
MOST_VERSIONS = 20
# Exports whose files are to choose from, the latest ones.
MOST_EXPORTS = 10
# Texts of a file that are shown; the downloads hold all.
SHOWN_TEXTS = 10
NONE = ""
KEPT, TEXT = "trial_kept", "trial_text"


def main() -> None:
    """Show the page."""
    options = model_options()
    if not options:
        show(heading("No model to try yet", "Export one first:"))
        show(commands(("ner-mlflow export",)))
        return
    show(
        heading(
            "Try it",
            "Write or drop a text and see what a model finds, with its confidence and offsets.",
        )
    )
    first, second = choose_models(options)
    texts, name = give_texts()
    if texts is None:
        return
    started = time.perf_counter()
    answers = {address: recognize(address, texts) for address in (first, second) if address}
    milliseconds = 1000 * (time.perf_counter() - started)
    if any(answer is None for answer in answers.values()):
        return
    found = {address: answer or [] for address, answer in answers.items()}
    show_answers(texts, found, options, milliseconds)
    show_downloads(texts, found[first], name)
    if len(texts) == 1:
        show_correction(texts[0], found[first][0], first)


def model_options() -> dict[str, str]:
    """Return the models to choose from, by address, the champions first."""
    options: dict[str, str] = {}
    for model in store.models()[:5]:
        holder = model.aliases.get(alias_of(model), "")
        versions = store.versions(model.name)[:MOST_VERSIONS]
        for version in sorted(versions, key=lambda one: one.version != holder):
            variant = f" · {version.origin.variant}" if version.origin.variant else ""
            options[version.address] = f"{version_label(version, model)}{variant}"
    for run in store.find_runs(Step.EXPORT, limit=MOST_EXPORTS).runs:
        for file in variants(run):
            options[file.address] = f"{file.name} · export {run.id[:6]}"
    return options


def choose_models(options: dict[str, str]) -> tuple[str, str]:
    """Let the user choose a model, and another one or none."""
    columns = st.columns(2)
    first = columns[0].selectbox(
        "Model", list(options), format_func=options.__getitem__, key="trial_first"
    )
    others = [NONE, *(address for address in options if address != first)]
    second = columns[1].selectbox(
        "Compare with",
        others,
        format_func=lambda address: options.get(address, "none"),
        key="trial_second",
    )
    return first, second


def give_texts() -> tuple[list[str] | None, str]:
    """Let the user write a text or drop a file; None where there is none to tag."""
    box, drop = st.columns([3, 2], gap="large")
    text = box.text_area("Text", value="\n".join(EXAMPLE), height=140, key=TEXT)
    file = drop.file_uploader(
        "Or a file: .txt is one text; .jsonl has a field text in each line",
        type=["txt", "jsonl"],
        key="trial_file",
    )
    try:
        if file is not None:
            return read_texts(file.name, file.getvalue()), file.name.rpartition(".")[0]
        return check_length([text], "the text"), "text"
    except NerError as error:
        st.warning(plain(error))
        return None, ""


def recognize(address: str, texts: list[str]) -> list[list[TextEntity]] | None:
    """Return a model's answers, None (after a message) if it cannot be loaded."""
    try:
        return list(store.recognizer(address).recognize(texts))
    except NerError as error:
        store.check()
        st.error(plain(error))
        return None


def show_answers(
    texts: list[str],
    found: dict[str, list[list[TextEntity]]],
    options: dict[str, str],
    milliseconds: float,
) -> None:
    """Show the texts in colour, for two models side by side."""
    types = sorted({type_ for address in found for type_ in store.model_types(address)})
    hues = type_hues(types)
    total = sum(len(answer) for answer in next(iter(found.values())))
    show(
        section(
            f"{total} entities" if total != 1 else "1 entity",
            f"{len(texts)} text{'s' * (len(texts) != 1)} in {milliseconds:.0f} ms. "
            "Rest the pointer on an entity for its confidence and offsets.",
        )
    )
    show(legend(types, hues))
    for number, text in enumerate(texts[:SHOWN_TEXTS]):
        show_text(text, [found[address][number] for address in found], list(found), options, hues)
    if len(texts) > SHOWN_TEXTS:
        rest = len(texts) - SHOWN_TEXTS
        show(fill('<p class="ner-note">{rest} more texts are in the downloads.</p>', rest=rest))


def show_text(
    text: str,
    answers: list[list[TextEntity]],
    addresses: list[str],
    options: dict[str, str],
    hues: dict[str, str],
) -> None:
    """Show one text with the answers of one model or of two."""
    differing = difference(answers[0], answers[-1])
    marked = frozenset(spans([*differing.only_first, *differing.only_second]))
    for column, address, answer in zip(
        st.columns(len(answers), gap="large"), addresses, answers, strict=True
    ):
        with column:
            if len(answers) > 1:
                show(fill('<p class="ner-note">{name}</p>', name=options[address]))
            notes = [f"{e.label} {e.score:.3f}, {e.start} to {e.end}" for e in answer]
            show(running_text(text, spans(answer), hues, notes, marked))
            show_entities(answer)
    if len(answers) > 1:
        show_difference(differing)


def show_entities(answer: Answer) -> None:
    """Show the entities of a text in a table."""
    rows = [(e.text, e.label, f"{e.score:.3f}", f"{e.start}–{e.end}") for e in answer]
    if rows:
        show(table(("entity", "type", "confidence", "offsets"), rows, numeric=2))
    else:
        show(fill('<p class="ner-note">No entity was found.</p>'))


def show_difference(differing: Difference) -> None:
    """Say what two models see differently."""

    def listed(entities: Answer) -> str:
        return ", ".join(f"{e.label} “{e.text}”" for e in entities) or "nothing"

    both = len(differing.both)
    if not differing.only_first and not differing.only_second:
        show(fill("<p>Both find the same {both} entities.</p>", both=bold(both)))
        return
    show(
        fill(
            "<p>Both find {both}. Only the first: {first}. Only the second: {second}.</p>",
            both=bold(both),
            first=listed(differing.only_first),
            second=listed(differing.only_second),
        )
    )


def show_downloads(texts: list[str], answers: list[list[TextEntity]], name: str) -> None:
    """Offer the answers of the first model as files."""
    columns = st.columns([1, 1, 4])
    columns[0].download_button(
        "CSV",
        to_csv(answers),
        f"{name}-entities.csv",
        "text/csv",
        key="trial_csv",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
    )
    columns[1].download_button(
        "JSONL",
        to_jsonl(texts, answers),
        f"{name}-entities.jsonl",
        "application/jsonl",
        key="trial_jsonl",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
    )


def show_correction(text: str, answer: Answer, address: str) -> None:
    """Let the user correct the entities of a text, and keep it for annotators."""
    kept: list[str] = st.session_state.setdefault(KEPT, [])
    show(
        section(
            "Correct it",
            "Change types and offsets, remove rows, or add rows: the words alone will do. Kept "
            "texts download as JSON lines, which the step data reads and doccano imports.",
        )
    )
    rows = pd.DataFrame(
        [(e.text, e.label, e.start, e.end) for e in answer],
        columns=["text", "label", "start", "end"],
    ).astype({"text": "object", "label": "object", "start": "Int64", "end": "Int64"})
    edited = st.data_editor(
        rows,
        num_rows="dynamic",
        hide_index=True,
        key=f"trial_rows {hash((text, address))}",
        column_config={
            "text": st.column_config.TextColumn("entity"),
            "label": st.column_config.SelectboxColumn(
                "type", options=list(store.model_types(address)), required=True
            ),
            "start": st.column_config.NumberColumn("start", min_value=0, step=1),
            "end": st.column_config.NumberColumn("end", min_value=1, step=1),
        },
    )
    columns = st.columns([1, 1, 3], vertical_alignment="center")
    if columns[0].button("Keep this text", key="trial_keep", width="stretch"):
        try:
            line = to_annotation(text, corrected(text, edited.to_dict("records")))
        except NerError as error:
            st.warning(plain(error))
        else:
            if line not in kept:
                kept.append(line)
    columns[1].download_button(
        f"Download {len(kept)}",
        "".join(kept),
        "corrections.jsonl",
        "application/jsonl",
        key="trial_corrections",
        icon=":material/download:",
        disabled=not kept,
        on_click="ignore",
        width="stretch",
    )


if __name__ == "__main__":
    main()
