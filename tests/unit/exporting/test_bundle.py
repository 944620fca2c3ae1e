"""The code that travels with a model."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ner_mlflow import source_code
from ner_mlflow.exporting import bundle
from ner_mlflow.exporting.bundle import (
    SERVED_MODULE,
    TRAINED_MODULE,
    served_requirements,
    write_code_bundle,
)
from ner_mlflow.source_code import PACKAGE
from ner_mlflow.tagging.engines import ENGINES


@pytest.mark.parametrize(
    ("module", "needs_torch"), [(SERVED_MODULE, False), (TRAINED_MODULE, True)]
)
def test_the_bundle_works_where_this_package_is_not(
    tmp_path: Path, module: str, needs_torch: bool
) -> None:
    written = write_code_bundle(tmp_path, module)
    loading = f", {written.package.name}.modeling.checkpoint" if needs_torch else ""
    code = (
        f"import sys, served_model{loading}\n"
        "print('torch' in sys.modules, 'ner_mlflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == [str(needs_torch), "False"], done.stderr


def test_a_model_carries_the_code_of_its_own_engine_and_needs_its_package_only(
    tmp_path: Path,
) -> None:
    onnxruntime, openvino = ENGINES["onnxruntime"], ENGINES["openvino"]
    written = {
        engine.name: write_code_bundle(tmp_path / engine.name, engine=engine).package
        for engine in (onnxruntime, openvino)
    }
    assert not (written["onnxruntime"] / "tagging" / "openvino_engine.py").exists()
    assert (written["openvino"] / "tagging" / "openvino_engine.py").is_file()
    assert "openvino" not in served_requirements(onnxruntime)
    assert "openvino" in served_requirements(openvino)
    code = "import sys, served_model; print('openvino' in sys.modules)"
    for name in written:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path / name,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.split() == ["False"], done.stderr


def test_equal_code_has_one_name_and_changed_code_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = write_code_bundle(tmp_path / "a"), write_code_bundle(tmp_path / "b")
    assert first.package.name == second.package.name
    changed = tmp_path / "changed"
    shutil.copytree(PACKAGE, changed)
    (changed / "tagging" / "words.py").write_text("# changed")
    monkeypatch.setattr(source_code, "PACKAGE", changed)
    monkeypatch.setattr(bundle, "PACKAGE", changed)
    assert write_code_bundle(tmp_path / "c").package.name != first.package.name
