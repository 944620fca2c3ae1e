"""The look of the showcase: colours, theme, stylesheet and the layout of charts, all in one place.

Series have the colours of the plots, which are made for white paper; on a dark page three of them
would vanish and are lighter. What else depends on the page's theme is mixed from the colour of its
text, or left to Streamlit's theme of charts.
"""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from ..plotting import COLOURS

LIGHTER = {"#16599c": "#3f65c0", "#2f3715": "#e6f5b4", "#795c06": "#b3ae59"}
"""Colours of :mod:`ner_mlflow.plotting` that vanish on a dark page -> their stand-ins there."""
SERIES = {"light": COLOURS, "dark": tuple(LIGHTER.get(colour, colour) for colour in COLOURS)}
"""Colours of series and of entity types, by the theme of the page."""
ACCENT = COLOURS[0]
"""The colour of what is chosen, behind white text."""
DARK_ACCENT = "#7fb0f0"
"""The colour of what is chosen as text on a dark page."""
GOOD, BAD, QUIET = "#2a9d78", "#c8553d", "#8a8f98"
SCALE = ((0.0, "rgba(59,125,216,0.05)"), (1.0, "rgba(59,125,216,0.6)"))
"""Colours of the shares in a matrix, from 0 to 1."""
ERROR_SCALE = (
    (0.0, "rgba(200,85,61,0.04)"),
    (0.25, "rgba(200,85,61,0.35)"),
    (1.0, "rgba(200,85,61,0.7)"),
)
INKS = {"light": "#1c2430", "dark": "#e6e9ee"}
"""Colour of text, by the theme of the page."""
GRID = "rgba(128,128,128,0.18)"
LAYOUT: dict[str, Any] = {
    "font": {"size": 14},
    "margin": {"l": 8, "r": 16, "t": 8, "b": 8},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "hoverlabel": {"font": {"size": 13}},
    "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0},
}
"""What all charts share."""
AXIS: dict[str, Any] = {
    "gridcolor": GRID,
    "zeroline": False,
    "automargin": True,
    "title": {"font": {"size": 13}, "standoff": 10},
}
CHART_CONFIG: dict[str, Any] = {"displayModeBar": False}
THEME = {
    "theme.baseRadius": "small",
    "theme.light.primaryColor": ACCENT,
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f5f6f8",
    "theme.light.textColor": INKS["light"],
    "theme.dark.primaryColor": DARK_ACCENT,
    "theme.dark.backgroundColor": "#14181f",
    "theme.dark.secondaryBackgroundColor": "#1d232d",
    "theme.dark.textColor": INKS["dark"],
}
"""Options of Streamlit's server."""
STYLESHEET = (
    """
.stMainBlockContainer { max-width: 78rem; padding-top: 4.5rem; padding-bottom: 3rem }
.ner-head { margin: 0 0 .5rem }
.ner-head h1 { font-size: 1.9rem; line-height: 1.2; padding: 0; margin: 0 0 .4rem;
  font-weight: 650 }
.ner-kicker { font-size: .85rem; letter-spacing: .02em; margin-bottom: .25rem; min-height: 1em;
  color: color-mix(in srgb, currentColor 68%, transparent) }
.ner-lead { font-size: 1.15rem; line-height: 1.55; max-width: 62rem; margin: 0 }
.ner-section { font-size: 1.2rem; font-weight: 620; padding: 0; margin: 1.4rem 0 .1rem }
.ner-note { font-size: .9rem; line-height: 1.45; margin: 0; max-width: 62rem;
  color: color-mix(in srgb, currentColor 72%, transparent) }
.ner-tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(12.5rem, 1fr));
  gap: .9rem; margin: .8rem 0 .2rem }
.ner-tile { border: 1px solid color-mix(in srgb, currentColor 16%, transparent);
  border-radius: .5rem; padding: .8rem 1rem }
.ner-name { font-size: .85rem; color: color-mix(in srgb, currentColor 72%, transparent) }
.ner-value { font-size: 1.75rem; font-weight: 640; line-height: 1.35;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.ner-scroll { overflow-x: auto }
.ner-table { border-collapse: collapse; width: 100%; font-size: .92rem; margin: .3rem 0 }
.ner-table th { text-align: left; font-weight: 600; padding: .35rem .9rem .35rem 0;
  color: color-mix(in srgb, currentColor 72%, transparent); white-space: nowrap }
.ner-table td { padding: .45rem .9rem .45rem 0; vertical-align: top; overflow-wrap: anywhere;
  border-top: 1px solid color-mix(in srgb, currentColor 14%, transparent) }
.ner-table .ner-number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; padding-right: 0; padding-left: .9rem }
.ner-chip { display: inline-block; padding: 0 .55rem; border-radius: 1rem; font-size: .85rem;
  line-height: 1.5rem; white-space: nowrap; --hue: QUIET;
  background: color-mix(in srgb, var(--hue) 18%, transparent);
  border: 1px solid color-mix(in srgb, var(--hue) 45%, transparent) }
.ner-good { --hue: GOOD } .ner-bad { --hue: BAD }
.ner-text { white-space: pre-wrap; line-height: 2; overflow-wrap: anywhere; font-size: 1.02rem }
.ner-legend { line-height: 2.1 }
.ner-entity { color: inherit; padding: .1rem .35rem; border-radius: .3rem;
  background: color-mix(in srgb, var(--hue) 24%, transparent);
  border-bottom: 2px solid var(--hue); box-decoration-break: clone;
  -webkit-box-decoration-break: clone }
.ner-entity sub { font-size: .68em; margin-left: .35em; vertical-align: baseline;
  color: color-mix(in srgb, currentColor 78%, transparent) }
.ner-marked { outline: 2px dashed BAD; outline-offset: 1px }
.ner-case { border-top: 1px solid color-mix(in srgb, currentColor 14%, transparent);
  padding: .7rem 0 .6rem }
.ner-row { display: grid; grid-template-columns: 5.2rem 1fr; gap: .6rem; line-height: 1.95 }
.ner-what { display: flex; flex-wrap: wrap; align-items: baseline; gap: .15rem 1.1rem;
  font-size: .92rem }
.ner-row > :first-child { font-size: .85rem;
  color: color-mix(in srgb, currentColor 72%, transparent) }
.ner-code { font-size: .95rem; padding: .8rem 1rem; border-radius: .4rem; white-space: pre-wrap;
  background: color-mix(in srgb, currentColor 7%, transparent) }
.stMultiSelect [data-tag] { background: ACCENT; color: #ffffff }
.ner-foot { margin-top: 2rem; font-size: .8rem;
  color: color-mix(in srgb, currentColor 68%, transparent) }
""".replace("QUIET", QUIET)
    .replace("GOOD", GOOD)
    .replace("BAD", BAD)
    .replace("ACCENT", ACCENT)
)


def ink() -> str:
    """Return the colour of text on the page that is shown."""
    return INKS[_theme()]


def series_colour(index: int) -> str:
    """Return the colour of a series on the page that is shown; an eighth has that of the first."""
    colours = SERIES[_theme()]
    return colours[index % len(colours)]


def hues_of(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each name, in their order."""
    return {name: series_colour(index) for index, name in enumerate(names)}


def _theme() -> str:
    """Return ``light`` or ``dark``."""
    return "dark" if st.context.theme.type == "dark" else "light"
