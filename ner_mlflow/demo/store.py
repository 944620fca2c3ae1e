"""What the pages read of the store, kept for a short time so that a click does not read it again.

Each function that is cached takes the store's address first, because one process may show several
stores one after the other.
"""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from ..config.schema import EvaluateConfig
from ..data.dataset import PreparedDataset
from ..errors import ModelError, NerError
from ..evaluation.counts import entity_counts
from ..evaluation.significance import PairedTest, paired_permutation_test
from ..tagging.iob2 import split_tag
from ..tagging.recognizer import EntityRecognizer, load_tagger
from ..tagging.tagger import TaggerSpec
from ..tracking import overview
from ..tracking.models import find_model
from ..tracking.overview import ModelSummary, RunPage, VersionSummary, store_uri
from ..tracking.queries import RunSummary
from ..tracking.steps import Step
from ..workflows.data import load_data
from ..workflows.evaluate import PREDICTIONS

SHORT_S = 15
"""Seconds for which lists of runs and versions are kept."""
CHECK_S = 3
"""Seconds for which an answer of the store counts as proof that it is there."""
LONG_S = 3600
"""Seconds for which what finished runs logged is kept; it never changes."""
RESAMPLES = 2000
"""Permutations of a p-value: enough to tell 0.05 from 0.04, and quick."""


def check() -> None:
    """Check that the store answers.

    Raises:
        TrackingError: it does not.
    """
    _check(store_uri())


def find_runs(
    step: Step, limit: int = 50, token: str = "", finished: bool = True, **tags: str
) -> RunPage:
    """Return runs of a step, see :func:`overview.find_runs`."""
    return _find_runs(store_uri(), step, tuple(sorted(tags.items())), limit, token, finished)


def find_run(run_id: str) -> RunSummary | None:
    """Return a run, None if there is none of this id."""
    return _find_run(store_uri(), run_id) if run_id else None


def models() -> list[ModelSummary]:
    """Return the registered models, the last changed first."""
    return _models(store_uri())


def versions(name: str) -> list[VersionSummary]:
    """Return the versions of a registered model, the latest first."""
    return _versions(store_uri(), name)


def promotions(name: str) -> list[RunSummary]:
    """Return the promote runs of a registered model, the latest first."""
    return _promotions(store_uri(), name)


def table(run_id: str, name: str) -> pd.DataFrame | None:
    """Return a table that a run logged, None if it logged none of this name."""
    return _table(store_uri(), run_id, name)


def values(run_id: str, name: str) -> dict[str, object]:
    """Return the values of a run's ``NAME.yaml``, empty if it logged none."""
    return _values(store_uri(), run_id, name)


def predictions(run_id: str) -> pd.DataFrame | None:
    """Return the predictions of an evaluate run, None if it logged none."""
    return _predictions(store_uri(), run_id)


def dataset(data_run: str) -> PreparedDataset | None:
    """Return a prepared dataset, None if its run or its files are gone."""
    return _dataset(store_uri(), data_run)


def recognizer(address: str) -> EntityRecognizer:
    """Return the model at an address, loaded with ONNX Runtime.

    Raises:
        NerError: there is no such model, or it is no exported one.
    """
    return _recognizer(store_uri(), address)


def model_types(address: str) -> tuple[str, ...]:
    """Return the entity types of a model."""
    return _model_types(store_uri(), address)


def compare_pair(first: str, second: str) -> PairedTest | None:
    """Test whether two evaluate runs differ in F1.

    Returns:
        The test; None if a run has no predictions, or they are not of the same sentences.
    """
    return _compare_pair(store_uri(), first, second)


def types_of(predictions: pd.DataFrame) -> list[str]:
    """Return the entity types of gold and predicted tags, sorted."""
    tags = {tag for name in ("gold", "predicted") for row in predictions[name] for tag in row}
    return sorted({split_tag(tag)[1] for tag in tags} - {""})


@st.cache_data(ttl=CHECK_S, show_spinner=False)
def _check(store: str) -> bool:  # noqa: ARG001  # the key of the cache
    overview.check_store()
    return True


@st.cache_data(ttl=SHORT_S, max_entries=200, show_spinner=False)
def _find_runs(
    store: str,  # noqa: ARG001
    step: Step,
    tags: Sequence[tuple[str, str]],
    limit: int,
    token: str,
    finished: bool,
) -> RunPage:
    return overview.find_runs(step, dict(tags), limit, token, finished)


@st.cache_data(ttl=SHORT_S, max_entries=500, show_spinner=False)
def _find_run(store: str, run_id: str) -> RunSummary | None:  # noqa: ARG001
    return overview.find_run(run_id)


@st.cache_data(ttl=SHORT_S, max_entries=20, show_spinner=False)
def _models(store: str) -> list[ModelSummary]:  # noqa: ARG001
    return overview.registered_models()


@st.cache_data(ttl=SHORT_S, max_entries=50, show_spinner=False)
def _versions(store: str, name: str) -> list[VersionSummary]:  # noqa: ARG001
    return overview.model_versions(name)


@st.cache_data(ttl=SHORT_S, max_entries=50, show_spinner=False)
def _promotions(store: str, name: str) -> list[RunSummary]:  # noqa: ARG001
    return overview.promotions_of(name)


@st.cache_data(ttl=LONG_S, max_entries=200, show_spinner=False)
def _table(store: str, run_id: str, name: str) -> pd.DataFrame | None:  # noqa: ARG001
    return overview.logged_table(run_id, name)


@st.cache_data(ttl=LONG_S, max_entries=200, show_spinner=False)
def _values(store: str, run_id: str, name: str) -> dict[str, object]:  # noqa: ARG001
    return overview.logged_values(run_id, name)


@st.cache_data(ttl=LONG_S, max_entries=8, show_spinner="Reading the predictions")
def _predictions(store: str, run_id: str) -> pd.DataFrame | None:  # noqa: ARG001
    return overview.logged_frame(run_id, PREDICTIONS)


@st.cache_resource(ttl=LONG_S, max_entries=2, show_spinner="Reading the dataset")
def _dataset(store: str, data_run: str) -> PreparedDataset | None:  # noqa: ARG001
    try:
        return load_data(data_run).dataset
    except NerError:
        overview.check_store()
        return None


@st.cache_resource(ttl=LONG_S, max_entries=4, show_spinner="Loading the model")
def _recognizer(store: str, address: str) -> EntityRecognizer:  # noqa: ARG001
    model = find_model(address)
    if not model.is_onnx:
        raise ModelError(
            f"model {address} is not exported: run ner-mlflow export --model {address}"
        )
    return EntityRecognizer(load_tagger(model.folder))


@st.cache_data(ttl=LONG_S, max_entries=50, show_spinner=False)
def _model_types(store: str, address: str) -> tuple[str, ...]:  # noqa: ARG001
    return TaggerSpec.load(find_model(address).folder).types


@st.cache_data(ttl=LONG_S, max_entries=500, show_spinner="Testing the difference")
def _compare_pair(store: str, first: str, second: str) -> PairedTest | None:  # noqa: ARG001
    frames = [overview.logged_frame(run_id, PREDICTIONS) for run_id in (first, second)]
    if frames[0] is None or frames[1] is None or len(frames[0]) != len(frames[1]):
        return None
    types = sorted({type_ for frame in frames if frame is not None for type_ in types_of(frame)})
    counts = [
        entity_counts(frame["gold"].tolist(), frame["predicted"].tolist(), types)
        for frame in frames
        if frame is not None
    ]
    try:
        return paired_permutation_test(counts[0], counts[1], RESAMPLES, EvaluateConfig().seed)
    except ValueError:  # other sentences
        return None
