"""Write a logged model to a folder as a hub repository holds it, and upload such a folder."""

import shutil
from pathlib import Path

from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id

from ..errors import ModelError
from ..redaction import one_line

CARD_FILE = "README.md"
"""The file of a model that holds its card, as on Hugging Face's hub."""


def check_hub_folder(folder: str, repository: str) -> None:
    """Check that a folder can be written and a repository can be named so, before any work.

    Args:
        folder: the folder; empty: none.
        repository: the id of the repository; empty: none.

    Raises:
        ModelError: the folder holds files, or the id is not like ``owner/name``.
    """
    path = Path(folder)
    if folder and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ModelError(f"hub_folder {folder!r} holds files already: give a new or empty folder")
    if repository:
        try:
            validate_repo_id(repository)
        except HFValidationError as error:
            raise ModelError(f"push {repository!r}: {one_line(error)}") from error
        if repository.count("/") != 1:
            raise ModelError(f"push {repository!r}: must be OWNER/NAME")


def write_hub_folder(model: Path, card: ModelCard, folder: Path) -> None:
    """Write a logged model and its card to a folder.

    ``mlflow.pyfunc.load_model`` loads the folder; the ONNX file and its tokenizer are in
    ``artifacts/``.

    Args:
        model: the folder of the logged model.
        card: its card, written as ``README.md``.
        folder: a new or empty folder.
    """
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(model, part)
    (part / CARD_FILE).write_text(str(card), encoding="utf-8")
    if folder.exists():
        folder.rmdir()
    part.rename(folder)


def push_hub_folder(folder: Path, repository: str) -> str:
    """Upload a folder to a model repository of the hub, created as private if there is none.

    The token is that of ``HF_TOKEN`` or of ``hf auth login``.

    Args:
        folder: the folder.
        repository: ``owner/name``.

    Returns:
        The address of the commit.

    Raises:
        ModelError: the hub refused, or cannot be reached.
    """
    api = HfApi()
    try:
        api.create_repo(repository, private=True, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message="Add a model exported by ner_mlflow",
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ModelError(
            f"push {repository!r}: the hub does not take it ({one_line(error, limit=300)}): "
            "check the id, HF_TOKEN and HF_ENDPOINT"
        ) from error
    return str(commit.commit_url)
