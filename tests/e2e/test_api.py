"""The public Python API, as a script of ten lines."""

import subprocess
import sys
from pathlib import Path

import mlflow
from conftest import user_environment

SCRIPT = """
import ner_mlflow, mlflow
with mlflow.start_run(run_name="notebook"):
    data = ner_mlflow.prepare("sample")
    trained = ner_mlflow.train(data, preset=PRESET, settings={"train.epochs": 6})
scored = ner_mlflow.evaluate(trained)
exported = ner_mlflow.export(trained, registered_model="api", alias="candidate", settings=SETTINGS)
recognizer = ner_mlflow.load_recognizer("models:/api@candidate")
(entities,) = recognizer.recognize(["PostgreSQL 15.3 crashes on Ubuntu 22.04."])
print(scored.scores["f1"], exported.served_variant, [(e.text, e.label) for e in entities])
"""


def test_a_script_goes_from_a_corpus_to_a_recognizer(tmp_path: Path, tiny_preset: Path) -> None:
    settings = {"export.variants": ["fp32"], "export.served": ["fp32"], "export.latency_runs": 8}
    script = f"PRESET = {str(tiny_preset)!r}\nSETTINGS = {settings!r}\n{SCRIPT}"
    store = f"sqlite:///{tmp_path}/mlflow.db"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=user_environment(store),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    f1, variant, *entities = done.stdout.split(maxsplit=2)
    assert float(f1) > 0.3
    assert variant == "fp32"
    assert "('15.3', 'VERSION')" in entities[0]
    mlflow.set_tracking_uri(store)
    runs = mlflow.search_runs(["0"], output_format="list")
    parents = {
        run.data.tags.get("ner.step"): run.data.tags.get("mlflow.parentRunId") for run in runs
    }
    notebook = next(run.info.run_id for run in runs if run.info.run_name == "notebook")
    assert parents == {
        None: None,
        "data": notebook,
        "train": notebook,
        "evaluate": None,
        "export": None,
    }


def test_the_package_is_light_to_import() -> None:
    code = "import ner_mlflow, sys; print(ner_mlflow.__version__, 'mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "False"
