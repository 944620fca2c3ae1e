"""What the pages read of the store is right, is kept for a while, and is told apart by store."""

from pathlib import Path

import mlflow
import pytest
import streamlit as st
from conftest import StoreMaker
from showcases import TYPES, Showcase

from ner_mlflow.demo import store
from ner_mlflow.errors import ModelError
from ner_mlflow.evaluation.counts import entity_counts
from ner_mlflow.evaluation.significance import paired_permutation_test
from ner_mlflow.tracking import overview
from ner_mlflow.tracking.steps import Step


@pytest.fixture(autouse=True)
def nothing_is_kept() -> None:
    st.cache_data.clear()
    st.cache_resource.clear()


def test_lists_are_kept_for_a_while(showcase: Showcase, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.find_runs(Step.TRAIN)
    assert len(first.runs) == 2
    monkeypatch.setattr(overview, "find_runs", None)
    assert store.find_runs(Step.TRAIN) == first


def test_another_store_has_other_runs(
    showcase: Showcase, make_store: StoreMaker, tmp_path: Path
) -> None:
    assert store.models()
    make_store(tmp_path)
    assert store.models() == []
    assert store.find_runs(Step.TRAIN).runs == ()


def test_types_and_p_values_come_from_stored_predictions(showcase: Showcase) -> None:
    first, second = (record.run_id for record in showcase.evaluated)
    frames = [store.predictions(run_id) for run_id in (first, second)]
    assert frames[0] is not None
    assert frames[1] is not None
    assert set(store.types_of(frames[0])) <= set(TYPES)
    counts = [
        entity_counts(frame["gold"].tolist(), frame["predicted"].tolist(), TYPES)
        for frame in frames
        if frame is not None
    ]
    expected = paired_permutation_test(counts[0], counts[1], store.RESAMPLES, 13)
    assert store.compare_pair(first, second) == expected
    assert store.compare_pair(first, showcase.data_run) is None


def test_a_dataset_that_is_gone_is_none(showcase: Showcase) -> None:
    prepared = store.dataset(showcase.data_run)
    assert prepared is not None
    assert prepared.schema.types == TYPES
    assert store.dataset("0" * 32) is None


def test_an_exported_model_answers_and_a_trained_one_is_refused(showcase: Showcase) -> None:
    run = store.find_runs(Step.EXPORT, limit=1).runs[0]
    address = f"runs:/{run.id}/onnx/fp32"
    assert store.model_types(address) == TYPES
    (answer,) = store.recognizer(address).recognize(["I use Ubuntu 22.04"])
    assert isinstance(answer, list)
    with pytest.raises(ModelError, match="export"):
        store.recognizer(showcase.trained[0].model_uri)
    assert mlflow.get_tracking_uri() == showcase.store
