"""An engine is chosen at export, logged with its proof, and serves without PyTorch."""

import json
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from conftest import entry_point, runs, user_environment

ANSWER = """
import json, sys
sys.modules["torch"] = sys.modules["transformers"] = None  # an import of them fails
import mlflow
model = mlflow.pyfunc.load_model("models:/it-ner@champion")
chosen = mlflow.pyfunc.load_model("models:/it-ner@champion", {"engine": "onnxruntime"})
texts = ["We run Ubuntu 22.04 and PostgreSQL 15.3 here."] * 300
answers = [[entity["text"] for entity in entities] for entities in model.predict(texts)]
others = [[entity["text"] for entity in entities] for entities in chosen.predict(texts)]
print(json.dumps([answers[0], answers == others, "openvino" in sys.modules]))
"""


@pytest.mark.slow
def test_the_fastest_proven_engine_is_registered_and_answers(
    tiny_preset: Path, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    options = ["--presets", str(tiny_preset), "--export.engines", "onnxruntime,openvino"]
    done = entry_point(store, "main", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    mlflow.set_tracking_uri(store)
    (run,) = runs(store, "export")
    names = ["fp32", "fp32_openvino"]
    f1, speed = (
        [run.data.metrics[f"{name}/{figure}"] for name in names]
        for figure in ("validation_f1", "sentences_per_s")
    )
    close = [index for index in (0, 1) if f1[0] - f1[index] <= 0.002]
    served = names[max(close, key=lambda index: speed[index])]
    assert run.data.tags["ner.served_variant"] == served
    engine = "openvino" if served == "fp32_openvino" else "onnxruntime"
    info = mlflow.models.get_model_info("models:/it-ner@champion")
    assert info.metadata["engine"] == engine
    requirements = (
        Path(mlflow.artifacts.download_artifacts("models:/it-ner@champion")) / "requirements.txt"
    ).read_text(encoding="utf-8")
    assert ("openvino==" in requirements) == (engine == "openvino")
    answered = subprocess.run(
        [sys.executable, "-c", ANSWER],
        cwd=tmp_path,
        env=user_environment(store),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answered.returncode == 0, answered.stderr
    found, equal, imported = json.loads(answered.stdout.splitlines()[-1])
    assert found
    assert equal
    assert imported == (engine == "openvino")


def test_an_engine_that_is_unknown_is_refused_before_anything_runs(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    done = entry_point(store, "export", "--export.engines", "abacus", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert "export.engines" in line
    assert "openvino" in line
