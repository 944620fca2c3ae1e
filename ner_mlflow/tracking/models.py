"""Find models by their address."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import mlflow

from ..errors import ModelError
from ..modeling.loading import is_onnx_model
from ..provenance import cache_key, file_sha256
from ..tagging.tagger import TaggerSpec
from .outbox import CLIENT_ID_TAG, MODEL_MARK
from .queries import download
from .records import Lineage, lineage_of, logged_model_uri


@dataclass(frozen=True)
class FoundModel:
    """A model on this disk.

    ``folder`` holds its ``ner_model.json``; ``address`` is where it was found; ``model_id`` and
    ``run_id`` name the logged model and the run that it came from, where it has these.
    """

    folder: Path
    address: str
    model_id: str | None = None
    run_id: str | None = None

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 (hex) of the names and contents of its files."""
        return cache_key(
            f"{path.name} {file_sha256(path)}"
            for path in sorted(self.folder.iterdir())
            if path.is_file()
        )

    @cached_property
    def lineage(self) -> Lineage:
        """The training that it comes from, as far as its run is known."""
        of_run = self.address.startswith("runs:/")
        return lineage_of(self.run_id, self.folder.name if of_run and self.is_onnx else "")

    @cached_property
    def identity(self) -> str:
        """What names a logged model for good; the address of any other.

        It is the id that its machine gave it. The store gives another one to a model that it gets
        later.
        """
        if self.model_id is None:
            return self.address
        tags = mlflow.MlflowClient().get_logged_model(self.model_id).tags
        return str(tags.get(CLIENT_ID_TAG) or self.model_id.removeprefix(MODEL_MARK))

    @property
    def is_onnx(self) -> bool:
        """True for an exported model, false for a PyTorch one."""
        return is_onnx_model(self.folder)


def find_model(address: str) -> FoundModel:
    """Return the model at a run id, ``runs:/ID[/PATH]``, ``models:/...`` or a folder.

    Raises:
        TrackingError: there is no such run or model.
        ModelError: it is not a model of this platform.
    """
    if Path(address).is_dir():
        return FoundModel(_model_folder(Path(address)), address)
    uri = address
    if re.fullmatch(r"[0-9a-f]{32}", address) or re.fullmatch(r"runs:/[0-9a-f]{32}/?", address):
        uri = logged_model_uri(address.removeprefix("runs:/").rstrip("/"))
    elif not address.startswith(("runs:/", "models:/")):
        raise ModelError(
            f"model {address!r} is neither a folder that exists, nor a run id, runs:/ID or "
            "models:/NAME@ALIAS: give one of these"
        )
    folder = _model_folder(download(uri))
    if uri.startswith("runs:/"):  # files of a run, such as a variant, are not a logged model
        return FoundModel(folder, uri, run_id=uri.removeprefix("runs:/").partition("/")[0])
    info = mlflow.models.get_model_info(uri)
    return FoundModel(folder, uri, info.model_id, info.run_id)


def _model_folder(path: Path) -> Path:
    for candidate in (
        path,
        path / "model",
        path / "artifacts" / "model",
        *sorted(path.glob("artifacts/*")),
    ):
        if (candidate / TaggerSpec.FILE).is_file():
            return candidate
    raise ModelError(
        f"{path}: no {TaggerSpec.FILE}, so not a model of this platform: "
        "give a train or export run, or a model that it logged"
    )
