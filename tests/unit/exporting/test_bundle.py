"""The code that travels with a model."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ner_mlflow import source_code
from ner_mlflow.exporting import bundle
from ner_mlflow.exporting.bundle import SERVED_MODULE, TRAINED_MODULE, write_code_bundle
from ner_mlflow.source_code import PACKAGE


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
