"""Parts that several pages share: charts, and a box to choose from."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import plotly.graph_objects as go
import streamlit as st

from .style import CHART_CONFIG

T = TypeVar("T")


def show_chart(figure: go.Figure, key: str, alt: str) -> None:
    """Show a chart; ``alt`` says what it shows to readers who do not see it."""
    st.plotly_chart(figure, config=CHART_CONFIG, key=key, alt=alt)


def choose_one(name: str, options: Sequence[T], key: str, text: Callable[[T], str] = str) -> T:
    """Let the user choose one of several options, in a box that is not as wide as the page."""
    column, _ = st.columns([2, 3])
    chosen: T = column.selectbox(name, options, format_func=text, key=key)
    return chosen
