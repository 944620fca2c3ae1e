"""The frame of the showcase: every page opens on every kind of store, and nothing is markup."""

import html.parser
import json

import mlflow
import pytest
from showcases import EVIL, MODEL, OpenPage, Showcase, build_hostile_store, text_of
from streamlit.testing.v1 import AppTest

from ner_mlflow.demo.navigation import PAGES
from ner_mlflow.redaction import HIDDEN


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_on_a_filled_store(showcase: Showcase, open_page: OpenPage, page: str) -> None:
    app = open_page(page)
    assert not app.exception
    assert not app.error
    assert "ner-head" in text_of(app)


@pytest.mark.parametrize(
    ("page", "command"),
    [
        ("verdict", "ner-mlflow main"),
        ("compare", "ner-mlflow evaluate"),
        ("failures", "ner-mlflow evaluate"),
        ("trial", "ner-mlflow export"),
        ("provenance", "ner-mlflow data --dataset sample"),
    ],
)
def test_a_page_of_an_empty_store_says_what_to_run(
    store: str, open_page: OpenPage, page: str, command: str
) -> None:
    app = open_page(page)
    assert not app.exception
    assert command in text_of(app)


class Elements(html.parser.HTMLParser):
    """The names of elements and attributes of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("page", ["verdict", "compare", "failures"])
def test_names_and_texts_that_are_markup_stay_text(
    store: str, open_page: OpenPage, page: str
) -> None:
    build_hostile_store()
    app = open_page(page)
    assert not app.exception
    assert "&lt;script&gt;" in text_of(app)
    parser = Elements()
    for element in app.get("html"):
        parser.feed(element.proto.body)
    assert not parser.elements & {"script", "img", "a", "iframe"}
    assert parser.attributes <= {"class", "style", "title"}
    for kind in ("markdown", "caption", "error", "warning", "info"):
        for element in app.get(kind):
            assert not element.proto.allow_html
            assert "<script>" not in element.value
    for chart in app.get("plotly_chart"):
        assert "<script>" not in json.dumps(json.loads(chart.proto.spec), ensure_ascii=False)


def test_a_server_that_is_gone_is_one_line_and_a_retry_recovers(
    showcase: Showcase, open_page: OpenPage
) -> None:
    mlflow.set_tracking_uri("http://me:geheim123@127.0.0.1:9")
    app = open_page("verdict")
    assert not app.exception
    (error,) = app.error
    message = error.value.replace("\\", "")
    assert message.startswith(f"tracking server http://me:{HIDDEN}@127.0.0.1:9 does not answer")
    assert "\n" not in message
    assert "geheim123" not in message + text_of(app)
    mlflow.set_tracking_uri(showcase.store)
    app.button(key="retry").click().run()
    assert not app.error
    assert f"{MODEL} version 1 is the champion" in text_of(app)


def test_a_page_that_loses_its_store_halfway_recovers_too(
    showcase: Showcase, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("compare")
    assert not app.error
    # MLflow's own retries would take minutes.
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    app.run()
    assert len(app.error) == 1
    mlflow.set_tracking_uri(showcase.store)
    app.run()
    assert not app.error
    assert "F1 by type" in text_of(app)


def test_the_store_is_shown_without_its_password(showcase: Showcase, open_page: OpenPage) -> None:
    app: AppTest = open_page("verdict")
    assert f"Store: {showcase.store}" in text_of(app)
    assert EVIL not in text_of(app)
