"""The errors of a model are found by type, category and slice, and shown with both answers."""

import pytest
import streamlit as st
from showcases import TYPES, OpenPage, Showcase, text_of

from ner_mlflow.demo.explorer import ANY, CATEGORY_TEXTS, ERRORS
from ner_mlflow.demo.views import failures
from ner_mlflow.demo.views.failures import NOTHING, take_click


def test_the_page_opens_on_the_champion(showcase: Showcase, open_page: OpenPage) -> None:
    app = open_page("failures")
    chosen = app.selectbox(key="failures_run")
    assert chosen.value not in {record.run_id for record in showcase.evaluated}
    assert "klein" in chosen.options[0]


def test_the_worst_model_shows_its_errors_by_category(
    showcase: Showcase, open_page: OpenPage
) -> None:
    app = open_page("failures")
    app.selectbox(key="failures_run").set_value(showcase.evaluated[1].run_id).run()
    assert not app.exception
    text = text_of(app)
    assert " errors in 12 sentences" in text
    assert all(words in text for words in CATEGORY_TEXTS.values())
    assert app.selectbox(key="failures_gold").options == [ANY, *TYPES, NOTHING]


def test_filters_choose_sentences_and_gold_stands_above_the_prediction(
    showcase: Showcase, open_page: OpenPage
) -> None:
    app = open_page("failures")
    app.selectbox(key="failures_category").set_value(ANY)
    app.selectbox(key="failures_gold").set_value("Gerät").run()
    text = text_of(app)
    assert "12 sentences with 12 such entities" in text
    assert text.index("<span>gold</span>") < text.index("<span>predicted</span>")
    assert "Ubuntu<sub>Gerät</sub>" in text
    app.number_input(key="failures_page").set_value(2).run()
    assert text_of(app).count('class="ner-case"') == 12 - failures.PAGE
    app.selectbox(key="failures_by").set_value("surface").run()
    app.selectbox(key="failures_part").set_value("unseen").run()
    assert not app.exception
    assert app.number_input(key="failures_page").value == 1
    assert "0 sentences with 0 such entities" in text_of(app)  # train has Ubuntu too
    assert "<td>Words of the entity in train</td><td>seen</td>" in text_of(app)


def test_a_click_on_the_confusion_sets_the_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, object] = {"failures_names": ["Gerät", "Zahl", "O"]}
    monkeypatch.setattr(st, "session_state", state)
    state[failures.MATRIX] = {"selection": {"points": [{"customdata": [1, 2]}]}}
    take_click()
    assert (state[failures.GOLD], state[failures.PREDICTED]) == ("Zahl", NOTHING)
    assert (state[failures.CATEGORY], state[failures.NUMBER]) == (ERRORS, 1)
    state[failures.MATRIX] = {"selection": {"points": [{"customdata": [0, 0]}]}}
    take_click()
    assert (state[failures.GOLD], state[failures.CATEGORY]) == ("Gerät", ANY)
    state[failures.MATRIX] = {"selection": {"points": []}}  # the cell was clicked again
    take_click()
    assert state[failures.GOLD] == "Gerät"


def test_robustness_is_shown_where_it_was_measured(showcase: Showcase, open_page: OpenPage) -> None:
    app = open_page("failures")
    assert len(app.selectbox(key="failures_robustness").options) == 1
    assert len(app.get("plotly_chart")) == 2
