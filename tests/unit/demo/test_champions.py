"""A model is judged by its champion, and the champion by the file that it serves."""

from showcases import MODEL, Showcase

from ner_mlflow.demo import store
from ner_mlflow.demo.champions import judged_version, scores_of, served_variant
from ner_mlflow.tracking.overview import ModelSummary


def test_the_champion_is_judged_by_the_file_that_it_serves(showcase: Showcase) -> None:
    (model,) = store.models()
    version = judged_version(model)
    assert version is not None
    assert (version.name, version.version) == (MODEL, "1")
    scores = scores_of(version)
    assert scores is not None
    assert scores.run.id not in {record.run_id for record in showcase.evaluated}
    assert scores.is_file
    assert scores.record.split == "test"
    file = served_variant(version)
    assert file is not None
    assert (file.variant, file.served) == (version.origin.variant, True)


def test_without_a_champion_the_latest_version_is_judged(showcase: Showcase) -> None:
    version = judged_version(ModelSummary(MODEL, {}, {}, 0))
    assert version is not None
    assert version.version == "2"
