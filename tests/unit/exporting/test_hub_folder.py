"""A model is uploaded to a hub as a repository that MLflow can load, and refusals are one line."""

import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import HubServer
from huggingface_hub import ModelCard

from ner_mlflow.errors import ModelError
from ner_mlflow.exporting.hub_folder import check_hub_folder, write_hub_folder

PUSH = """
import sys
from pathlib import Path
from ner_mlflow.errors import ModelError
from ner_mlflow.exporting.hub_folder import push_hub_folder
try:
    print(push_hub_folder(Path(sys.argv[1]), sys.argv[2]))
except ModelError as error:
    print(f"refused: {error}")
"""
CARD = ModelCard("---\nlicense: apache-2.0\n---\n\n# tickets\n")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder like that of a logged model."""
    folder = tmp_path / "logged"
    (folder / "artifacts").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}", encoding="utf-8")
    (folder / "artifacts" / "model.onnx").write_bytes(bytes(range(256)))
    return folder


def push(server: HubServer, folder: Path, repository: str, home: Path, token: str = "") -> str:
    """Upload in a process of its own, because the library reads its settings when imported."""
    environment = {**server.environment(home), **({"HF_TOKEN": token} if token else {})}
    command = [sys.executable, "-c", PUSH, str(folder), repository]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_folder_holds_the_model_and_its_card(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    write_hub_folder(model, CARD, folder)
    assert (folder / "README.md").read_text(encoding="utf-8") == str(CARD)
    assert (folder / "artifacts" / "model.onnx").read_bytes() == bytes(range(256))
    assert not folder.with_name("hub.part").exists()


def test_an_uploaded_repository_has_the_files(model: Path, tmp_path: Path) -> None:
    write_hub_folder(model, CARD, tmp_path / "hub")
    root = tmp_path / "repositories"
    with HubServer(root) as server:
        commit = push(server, tmp_path / "hub", "owner/tickets", tmp_path / "home", "hf_token")
        assert commit.startswith(f"{server.url}/owner/tickets/commit/")
    uploaded = root / "models" / "owner" / "tickets"
    assert (uploaded / "README.md").read_text(encoding="utf-8") == str(CARD)
    assert (uploaded / "artifacts" / "model.onnx").read_bytes() == bytes(range(256))


def test_an_upload_without_a_token_is_refused_in_one_line(model: Path, tmp_path: Path) -> None:
    with HubServer(tmp_path / "repositories") as server:
        answer = push(server, model, "owner/tickets", tmp_path / "home")
    assert answer.startswith("refused: push 'owner/tickets': the hub does not take it (")
    assert answer.endswith("check the id, HF_TOKEN and HF_ENDPOINT")


def test_what_cannot_be_written_is_refused_before_any_work(model: Path, tmp_path: Path) -> None:
    check_hub_folder("", "")
    check_hub_folder(str(tmp_path / "new"), "owner/name")
    with pytest.raises(ModelError, match="holds files already: give a new or empty folder"):
        check_hub_folder(str(model), "")
    for repository in ("name", "owner/na me", "a/b/c"):
        with pytest.raises(ModelError, match=f"push '{repository}': "):
            check_hub_folder("", repository)
