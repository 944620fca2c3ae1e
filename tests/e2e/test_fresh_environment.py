"""The registered model, in an environment with its logged requirements and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from conftest import entry_point, user_environment

from ner_mlflow.exporting.golden import answers_match


@pytest.mark.slow
def test_the_model_answers_in_a_fresh_environment_as_it_did_when_it_was_exported(
    tmp_path: Path, tiny_preset: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.set_tracking_uri(store)
    mlflow.create_experiment("here", artifact_location=(tmp_path / "artifacts").as_uri())
    done = entry_point(
        store, "main", "--presets", str(tiny_preset), env={"MLFLOW_EXPERIMENT_NAME": "here"}
    )
    assert done.returncode == 0, done.stderr
    golden = json.loads(
        Path(
            mlflow.artifacts.download_artifacts("models:/it-ner@champion/artifacts/golden.json")
        ).read_text(encoding="utf-8")
    )
    assert sum(map(len, golden.values())) > 20
    requirements = mlflow.pyfunc.get_model_dependencies("models:/it-ner@champion")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "fresh"], check=True)
    python = tmp_path / "fresh" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], check=True)
    code = (
        "import json, sys, mlflow\nmodel = mlflow.pyfunc.load_model('models:/it-ner@champion')\n"
        "answers = {text: model.predict([text])[0] for text in json.load(sys.stdin)}\n"
        "heavy = [name for name in ('torch', 'transformers') if name in sys.modules]\n"
        "print(json.dumps([answers, heavy]))"
    )
    fresh = subprocess.run(
        [python, "-c", code],
        input=json.dumps(list(golden)),
        cwd="/",
        env=user_environment(store),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert fresh.returncode == 0, fresh.stderr
    answers, heavy = json.loads(fresh.stdout.splitlines()[-1])
    assert heavy == []
    assert all(answers_match(answers[text], expected) for text, expected in golden.items())
    installed = subprocess.run(
        [python, "-m", "pip", "list"], capture_output=True, text=True, check=True
    ).stdout
    assert not {"torch", "transformers"} & {line.split()[0] for line in installed.splitlines()}
