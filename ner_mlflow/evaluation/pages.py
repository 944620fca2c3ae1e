"""Render the HTML pages of an evaluation: sentences with their entities, a comparison of models."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import pandas as pd
from matplotlib.figure import Figure

from ..data.sentences import Sentence
from ..pages import render_page, table_grid
from ..tagging.iob2 import to_entities

PALETTE = ("#fde2e4", "#dbeafe", "#dcfce7", "#fef3c7", "#ede9fe", "#cffafe", "#fce7f3", "#e2e8f0")
DOTS_PER_INCH = 110


@dataclass(frozen=True)
class Part:
    """An entity's words with its type, or one word outside all entities with none."""

    text: str
    type: str | None = None


@dataclass(frozen=True)
class PageSection:
    """A part of a comparison: heading and text, either may be empty, above a table and a figure."""

    name: str
    heading: str
    text: str
    table: pd.DataFrame | None
    figure: Figure | None


def render_sentences_page(
    title: str,
    sentences: Sequence[Sentence],
    predicted: Sequence[Sequence[str]],
    groups: Mapping[str, Sequence[int]],
    types: Sequence[str],
) -> str:
    """Return a page of sentences, gold above predicted, each entity in the colour of its type.

    Args:
        title: the page's title.
        sentences: all sentences, with gold tags.
        predicted: the predicted tags of each sentence.
        groups: heading -> indices of the sentences to show below it; an empty heading is left out.
        types: entity types, in the order of the legend.
    """
    return render_page(
        "sentences.html",
        title=title,
        types=types,
        colours={type_: PALETTE[index % len(PALETTE)] for index, type_ in enumerate(types)},
        groups=[
            {
                "heading": heading,
                "sentences": [
                    {
                        "origin": sentences[index].origin,
                        "gold": split_parts(sentences[index].tokens, sentences[index].tags),
                        "predicted": split_parts(sentences[index].tokens, predicted[index]),
                    }
                    for index in indices
                ],
            }
            for heading, indices in groups.items()
        ],
    )


def split_parts(tokens: Sequence[str], tags: Sequence[str]) -> list[Part]:
    """Return a sentence as parts: its entities, and the words between them one by one."""
    parts: list[Part] = []
    position = 0
    for entity in to_entities(tags):
        parts += [Part(token) for token in tokens[position : entity.start]]
        parts.append(Part(" ".join(tokens[entity.start : entity.end]), entity.type))
        position = entity.end
    return parts + [Part(token) for token in tokens[position:]]


def render_comparison_page(title: str, sections: Sequence[PageSection]) -> str:
    """Return a page of sections; figures are embedded as PNG."""
    return render_page(
        "comparison.html",
        title=title,
        sections=[
            {
                "name": section.name,
                "heading": section.heading,
                "text": section.text,
                "table": None if section.table is None else table_grid(section.table),
                "image": None if section.figure is None else _png(section.figure),
            }
            for section in sections
        ],
    )


def _png(figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return b64encode(buffer.getvalue()).decode()
