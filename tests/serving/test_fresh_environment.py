"""The registered model in an environment that has its logged requirements and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from conftest import entry_point, user_environment

TEXTS = ["After the upgrade to Ubuntu 22.04 PostgreSQL 15.3 crashes.", ""]


@pytest.mark.slow
def test_the_model_answers_alike_in_a_fresh_environment(tmp_path: Path, tiny_preset: Path) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.set_tracking_uri(store)
    mlflow.create_experiment("here", artifact_location=(tmp_path / "artifacts").as_uri())
    done = entry_point(store, "main", "--presets", str(tiny_preset), env={"MLFLOW_EXPERIMENT_NAME": "here"})
    assert done.returncode == 0, done.stderr
    model = mlflow.pyfunc.load_model("models:/it-ner@champion")
    requirements = mlflow.pyfunc.get_model_dependencies("models:/it-ner@champion")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "fresh"], check=True)
    python = tmp_path / "fresh" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)
    code = (
        f"import json, sys, mlflow; found = mlflow.pyfunc.load_model('models:/it-ner@champion').predict({TEXTS!r})\n"
        "print(json.dumps([found, [name for name in ('torch', 'transformers') if name in sys.modules]]))"
    )
    fresh = subprocess.run([python, "-c", code], cwd="/", env=user_environment(store), capture_output=True, text=True, timeout=300, check=False)
    assert fresh.returncode == 0, fresh.stderr
    found, loaded = json.loads(fresh.stdout.splitlines()[-1])
    assert loaded == []
    assert found == model.predict(TEXTS)
    installed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "transformers"} & {line.split()[0] for line in installed.splitlines()}
