"""The showcase's script, which Streamlit runs for every click: the frame around the five pages."""

import streamlit as st

from ner_mlflow.demo import store
from ner_mlflow.demo.markup import fill, plain, show
from ner_mlflow.demo.navigation import PAGES, VIEWS
from ner_mlflow.demo.style import STYLESHEET
from ner_mlflow.errors import NerError
from ner_mlflow.tracking.overview import set_up_reading
from ner_mlflow.tracking.queries import store_address


def main() -> None:
    """Show the page that the address names, or why it cannot be shown."""
    st.set_page_config(page_title="ner-mlflow", layout="wide", menu_items={})
    set_up_reading()
    st.html(f"<style>{STYLESHEET}</style>")
    page = st.navigation(
        [
            st.Page(VIEWS / f"{name}.py", title=title, url_path=name, default=name == "verdict")
            for name, title in PAGES.items()
        ],
        position="top",
    )
    try:
        store.check()
        page.run()
    except NerError as error:
        st.error(plain(error))
        st.button("Try again", type="primary", key="retry")
    show(fill('<div class="ner-foot">Store: {address}</div>', address=store_address()))


main()
