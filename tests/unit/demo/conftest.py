"""A store of real runs for the tests of the pages, and the pages as Streamlit runs them."""

import os
import pickle
from pathlib import Path

import mlflow
import pytest
import streamlit as st
from conftest import StoreMaker
from filelock import FileLock
from showcases import OpenPage, Showcase, build_store
from streamlit.testing.v1 import AppTest

import ner_mlflow.demo
from ner_mlflow.demo.navigation import PAGES, VIEWS
from ner_mlflow.paths import CACHE_VARIABLE

APP = Path(ner_mlflow.demo.__file__).with_name("app.py")


@pytest.fixture(scope="session")
def filled_store(
    make_store: StoreMaker, tiny_backbone: Path, tmp_path_factory: pytest.TempPathFactory
) -> Showcase:
    """A store of real runs, which the test files of all workers share."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # the folder above is that of all workers
        folder = folder.parent
    folder /= "showcase"
    with FileLock(f"{folder}.lock"):
        if not (folder / "showcase.pickle").exists():
            folder.mkdir()
            with pytest.MonkeyPatch.context() as patch:
                for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
                    patch.delenv(name, raising=False)
                patch.setenv(CACHE_VARIABLE, str(folder / "cache"))
                built = build_store(make_store(folder), folder, tiny_backbone)
            (folder / "showcase.pickle").write_bytes(pickle.dumps(built))
        showcase: Showcase = pickle.loads((folder / "showcase.pickle").read_bytes())
        return showcase


@pytest.fixture
def showcase(filled_store: Showcase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Showcase:
    """The filled store, which is MLflow's store while the test runs."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    mlflow.set_tracking_uri(filled_store.store)
    return filled_store


@pytest.fixture
def open_page() -> OpenPage:
    """A function that opens a page by the name of its file."""
    st.cache_data.clear()

    def open_(name: str) -> AppTest:
        app = AppTest.from_file(APP, default_timeout=60).run()
        if name != next(iter(PAGES)):
            app.switch_page(str(VIEWS / f"{name}.py")).run()
        return app

    return open_
