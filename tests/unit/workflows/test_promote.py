"""A version becomes the champion by a verdict or by force, and a rollback returns the alias."""

from dataclasses import replace

import mlflow
import pytest
from pipelines import Finished

from ner_mlflow.config.schema import Config
from ner_mlflow.errors import TrackingError
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.queries import read_run
from ner_mlflow.tracking.records import PromoteRecord, VersionOrigin, variant_metrics
from ner_mlflow.tracking.registry import alias_holder
from ner_mlflow.tracking.steps import Step
from ner_mlflow.workflows.promote import Promotion, run_promote, run_rollback, try_promote
from ner_mlflow.workflows.register import register_served


@pytest.fixture
def name(finished: Finished, request: pytest.FixtureRequest) -> str:
    """The name of a registered model with two versions of the same files."""
    name: str = request.node.name
    result = finished.result
    with open_run(Step.EXPORT, "export") as run:
        register_served(
            run, result.export, result.served, finished.data, name, None, finished.config
        )
    client = mlflow.MlflowClient()
    first = client.get_model_version(name, "1")
    client.create_model_version(name, first.source, tags=first.tags)
    return name


@pytest.fixture
def config(finished: Finished) -> Config:
    # Four runs of a tiny model scatter; no equal one takes a hundredth of the time.
    settings = {"latency_runs": 4, "resamples": 100, "max_latency_ratio": 0.01}
    promote = finished.config.promote.model_copy(update=settings)
    return finished.config.model_copy(update={"promote": promote})


def promote(config: Config, name: str, candidate: str, **options: bool | str) -> Promotion:
    with open_run(Step.PROMOTE, "promote") as run:
        return run_promote(run, config, name, candidate, "champion", **options)  # type: ignore[arg-type]


def holder_of(name: str) -> str:
    holder = alias_holder(name, "champion")
    return holder.version if holder else ""


def test_the_first_proven_version_becomes_the_champion(name: str, config: Config) -> None:
    assert not promote(config, name, "1", dry_run=True).moved
    assert holder_of(name) == ""
    promotion = promote(config, name, "1")
    assert promotion.moved
    assert promotion.champion is None
    assert holder_of(name) == "1"
    with pytest.raises(TrackingError, match=r"@champion already: name another candidate"):
        promote(config, name, "1")


def test_an_equal_version_does_not_replace_the_champion_without_force(
    name: str, config: Config
) -> None:
    promote(config, name, "1")
    with open_run(Step.PROMOTE, "promote") as run:
        moved, reason = try_promote(run, config, name, "2", "champion")
    assert not moved
    assert reason.startswith("refused: it is no improvement: on given words F1 +0.0000; required")
    # A refusal is a result, not a crash.
    assert read_run(run.id).status == "FINISHED"
    record = PromoteRecord.read(run.id)
    assert (record.passed, record.outcome) == (False, "refused")
    assert f"refused: {record.reason}" == reason
    assert holder_of(name) == "1"
    assert promote(config, name, "2", force="a reason").moved
    tags = mlflow.MlflowClient().get_model_version(name, "2").tags
    assert tags["promotion_reason"].startswith("forced (a reason), although ")
    assert tags["promoted_from"] == "1"
    with open_run(Step.PROMOTE, "rollback") as run:
        rollback = run_rollback(run, config, name, "champion", "it was slow")
    assert (rollback.champion.version, rollback.previous.version) == ("2", "1")
    assert holder_of(name) == "1"
    tags = mlflow.MlflowClient().get_model_version(name, "2").tags
    assert tags["rolled_back_reason"] == "it was slow"


def test_a_version_without_a_tracked_proof_is_not_promoted(
    finished: Finished, config: Config
) -> None:
    client = mlflow.MlflowClient()
    client.create_registered_model("unproven")
    client.create_model_version(
        "unproven",
        finished.result.export.model_uri,
        tags=replace(VersionOrigin(), preset="small").tags(),
    )
    refused = promote(config, "unproven", "1")
    assert not refused.moved
    assert refused.reason == "no export run of models:/unproven/1 is tracked"


def test_a_version_that_finds_nothing_becomes_champion_by_force_only(
    name: str, config: Config, finished: Finished
) -> None:
    client, export = mlflow.MlflowClient(), finished.result.export
    with open_run(Step.EXPORT, "export") as run:
        replace(export, run_id=run.id).write(run)
        served = {**export.served_metrics, "validation_f1": 0.0}
        run.log_metrics(variant_metrics(export.served_variant, served))
    client.set_model_version_tag(name, "1", "export_run", run.id)
    refused = promote(config, name, "1")
    assert not refused.moved
    assert refused.reason == ("it finds no entity of the validation split (F1 0): train it longer")
    assert holder_of(name) == ""
    assert promote(config, name, "1", force="a placeholder").moved


def test_there_is_no_rollback_without_an_earlier_champion(name: str, config: Config) -> None:
    promote(config, name, "1")
    with (
        open_run(Step.PROMOTE, "rollback") as run,
        pytest.raises(TrackingError, match="no champion before this one is known"),
    ):
        run_rollback(run, config, name, "champion", "once more")
