"""Render the HTML pages of an evaluation: sentences with their entities, a comparison of models."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from ..data.highlights import split_parts, type_colours
from ..data.sentences import Sentence
from ..pages import render_page, table_grid

DOTS_PER_INCH = 110


@dataclass(frozen=True)
class PageSection:
    """A part of a comparison: heading and text, either may be empty, above a table and a figure."""

    name: str
    heading: str
    text: str
    table: pd.DataFrame | None
    figure: Figure | None


@dataclass(frozen=True)
class Examples:
    """Sentences with gold tags, the tags that a model predicts for each, and a heading."""

    heading: str
    sentences: Sequence[Sentence]
    predicted: Sequence[Sequence[str]]


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
        colours=type_colours(types),
        groups=[
            {
                "heading": heading,
                "sentences": [_shown(sentences[index], predicted[index]) for index in indices],
            }
            for heading, indices in groups.items()
        ],
    )


def render_comparison_page(
    title: str,
    lead: str,
    sections: Sequence[PageSection],
    types: Sequence[str],
    examples: Examples | None,
) -> str:
    """Return a page of sections; figures are embedded as PNG.

    Args:
        title: the page's title.
        lead: the paragraph on top; empty: none.
        sections: the sections, in order.
        types: entity types, in the order of the legend of the examples.
        examples: sentences to show last; None: none.
    """
    shown = []
    if examples:
        shown = [_shown(*pair) for pair in zip(examples.sentences, examples.predicted, strict=True)]
    return render_page(
        "comparison.html",
        title=title,
        lead=lead,
        colours=type_colours(types),
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
        heading=examples.heading if examples else "",
        examples=shown,
    )


def _shown(sentence: Sentence, predicted: Sequence[str]) -> dict[str, Any]:
    return {
        "origin": sentence.origin,
        "gold": split_parts(sentence.tokens, sentence.tags),
        "predicted": split_parts(sentence.tokens, predicted),
    }


def _png(figure: Figure) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return b64encode(buffer.getvalue()).decode()
