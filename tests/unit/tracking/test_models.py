"""Models are found at each kind of address, and get one version each in the registry."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest

from ner_mlflow.config.loading import load_config
from ner_mlflow.errors import ModelError, TrackingError
from ner_mlflow.exporting.bundle import write_code_bundle
from ner_mlflow.exporting.golden import golden_answers
from ner_mlflow.exporting.onnx_files import write_fp32
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.checkpoint import load_model, save_model
from ner_mlflow.tagging.label_schema import LabelSchema
from ner_mlflow.tagging.recognizer import EntityRecognizer, load_tagger
from ner_mlflow.tracking.flavors import EXAMPLE, log_served_model
from ner_mlflow.tracking.lifecycle import open_run
from ner_mlflow.tracking.models import find_model
from ner_mlflow.tracking.records import ExportRecord, VersionOrigin
from ner_mlflow.tracking.registration import register
from ner_mlflow.tracking.registry import HISTORY_TAG, check_not_promoted_alias
from ner_mlflow.tracking.registry_lock import lock_model
from ner_mlflow.tracking.steps import Step

ON_DATASET = {"data_run": "d" * 32, "dataset": "tiny", "dataset_fingerprint": "f" * 64}


@dataclass(frozen=True)
class Logged:
    """A store with an export run: its served model, its fp32 variant, and the folders on disk."""

    store: str
    run_id: str
    uri: str
    torch_folder: Path
    onnx_folder: Path


@pytest.fixture(scope="module")
def logged_model(
    make_store: Callable[[Path], str],
    tiny_backbone: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Logged:
    folder = tmp_path_factory.mktemp("models")
    store = make_store(folder)
    overrides = {"model.backbone": str(tiny_backbone), "model.max_length": 48}
    config = load_config(overrides=overrides).model
    built = build_model(resolve_backbone(str(tiny_backbone)), config, LabelSchema(("OS",)), 1)
    save_model(built, folder / "torch")
    write_fp32(load_model(folder / "torch"), folder / "onnx" / "fp32")
    golden = golden_answers(EntityRecognizer(load_tagger(folder / "onnx" / "fp32")), EXAMPLE)
    bundle = write_code_bundle(folder / "code")
    with open_run(Step.EXPORT, "export") as run:
        run.log_folder(folder / "onnx", "onnx")
        served = folder / "onnx" / "fp32"
        logged = log_served_model(run.id, served, bundle, "served_model", golden, {})
        record = ExportRecord(run_id=run.id, model="m", model_uri=logged.uri, **ON_DATASET)
        record.write(run)
    return Logged(store, run.id, logged.uri, folder / "torch", folder / "onnx" / "fp32")


@pytest.fixture
def logged(logged_model: Logged) -> Logged:
    mlflow.set_tracking_uri(logged_model.store)
    return logged_model


def test_a_folder_holds_a_model_of_pytorch_or_an_exported_one(logged: Logged) -> None:
    torch_model = find_model(str(logged.torch_folder))
    onnx_model = find_model(str(logged.onnx_folder))
    assert (torch_model.is_onnx, onnx_model.is_onnx) == (False, True)
    assert torch_model.folder == logged.torch_folder
    assert torch_model.run_id is None
    assert torch_model.fingerprint != onnx_model.fingerprint


@pytest.mark.parametrize("address", ["{run}", "runs:/{run}", "runs:/{run}/", "{uri}"])
def test_a_logged_model_is_found_by_its_run_and_by_its_uri(logged: Logged, address: str) -> None:
    model = find_model(address.format(run=logged.run_id, uri=logged.uri))
    assert (model.address, model.run_id) == (logged.uri, logged.run_id)
    assert model.model_id
    assert model.is_onnx
    assert model.fingerprint == find_model(str(logged.onnx_folder)).fingerprint


def test_a_variant_of_an_export_run_is_found_by_its_path(logged: Logged) -> None:
    model = find_model(f"runs:/{logged.run_id}/onnx/fp32")
    assert (model.run_id, model.model_id) == (logged.run_id, None)
    assert model.fingerprint == find_model(str(logged.onnx_folder)).fingerprint


def test_a_registered_model_keeps_its_version_and_is_found_by_its_alias(logged: Logged) -> None:
    origin = VersionOrigin(variant="fp32", export_run=logged.run_id)
    for alias, text in (("candidate", ""), ("candidate", "first"), ("champion", "second")):
        # The first is as of a process that died before it described the version.
        describe = f"{text} {{}}".format if text else "".format
        assert register(logged.uri, "registered", alias, origin, describe) == "1"
    version = mlflow.MlflowClient().get_model_version("registered", "1")
    assert version.description == "first models:/registered/1"
    assert VersionOrigin.from_tags(version.tags) == origin
    for address in ("models:/registered@champion", "models:/registered/1"):
        model = find_model(address)
        assert (model.address, model.run_id) == (address, logged.run_id)


def test_an_alias_that_a_promotion_moves_meanwhile_is_not_overwritten(logged: Logged) -> None:
    client = mlflow.MlflowClient()
    register(logged.uri, "watched", None, VersionOrigin(), "a card of {}".format)
    other = client.create_model_version("watched", logged.torch_folder.as_uri())
    check_not_promoted_alias("watched", "champion")
    with ThreadPoolExecutor() as pool:
        with lock_model("watched", 5):
            waiting = pool.submit(
                register, logged.uri, "watched", "champion", VersionOrigin(), "{}".format
            )
            client.set_registered_model_tag("watched", f"{HISTORY_TAG}champion", "2")
            client.set_registered_model_alias("watched", "champion", other.version)
        with pytest.raises(TrackingError, match="only promote moves watched@champion"):
            waiting.result()
    assert find_model("models:/watched/1").run_id == logged.run_id
    assert client.get_model_version_by_alias("watched", "champion").version == other.version


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("nowhere", ModelError, "model 'nowhere' is neither a folder that exists, nor a run id"),
        ("0" * 32, TrackingError, "run '0+' is not in sqlite"),
        ("runs:/" + "0" * 32 + "/onnx/fp32", TrackingError, "no such artifact"),
        ("models:/none@champion", TrackingError, "models:/none@champion: no such artifact"),
    ],
)
def test_an_address_without_a_model_is_named(
    logged: Logged, address: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        find_model(address)


def test_a_folder_without_a_model_of_this_package_is_refused(
    logged: Logged, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"no ner_model\.json, so not a model of this platform"):
        find_model(str(tmp_path))


def test_a_run_without_a_model_is_refused(logged: Logged) -> None:
    with open_run(Step.DATA, "data") as run:
        pass
    with pytest.raises(ModelError, match=r"run .* \(data\) logged no model"):
        find_model(run.id)


@pytest.mark.parametrize(
    "name",
    [
        "runs:/{run}/../../../..",
        "runs:/{run}/model/../../../../secret",
        "runs:/{run}/%2e%2e/%2e%2e/secret",
        "runs:/../{run}/model",
        "models:/../secret",
        "models:/%2e%2e/1",
        "{run}/../..",
        "file:///etc/passwd",
        "runs:/{run}//etc",
    ],
)
def test_no_address_leads_out_of_the_store(logged_model: Logged, name: str) -> None:
    run = mlflow.MlflowClient().create_run("0")
    mlflow.MlflowClient().log_text(run.info.run_id, "x", "model/x.txt")
    with pytest.raises((TrackingError, ModelError)) as caught:
        find_model(name.format(run=run.info.run_id))
    assert "\n" not in str(caught.value)
    assert "ner_model.json" not in str(caught.value)  # nothing was looked at
