"""The five types are not built in: a corpus with labels of its own becomes a registered model."""

import random
from pathlib import Path

import mlflow
import pytest
from conftest import entry_point, runs

SENTENCES = {"train": 500, "validation": 60, "test": 60}
FILLERS = ["the", "server", "runs", "on", "a", "with", "and", "error", "after", "update"]


def write_corpus(folder: Path, types: list[str]) -> None:
    """Write sentences with entities of one or two words; each type has words of its own."""
    chance = random.Random(1)
    folder.mkdir()
    for split, count in SENTENCES.items():
        lines = []
        for number in range(count):
            for _ in range(chance.randint(2, 4)):
                lines += [f"{chance.choice(FILLERS)}\tO" for _ in range(chance.randint(1, 3))]
                index = (
                    number % len(types) if chance.random() < 0.5 else chance.randrange(len(types))
                )
                lines.append(f"name{index}\tB-{types[index]}")
                if chance.random() < 0.4:
                    lines.append(f"part{index}\tI-{types[index]}")
            lines.append("")
        (folder / f"{split}.conll").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    "types",
    [
        pytest.param(["PER", "Git-Branch", "ДАТА"], id="3 types"),
        pytest.param(
            [f"Type_{number}" for number in range(30)], id="30 types", marks=pytest.mark.slow
        ),
    ],
)
def test_a_corpus_with_its_own_labels_becomes_a_registered_model(
    types: list[str], tiny_preset: Path, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    write_corpus(tmp_path / "corpus", types)
    options = {"presets": tiny_preset, "dataset": tmp_path / "corpus", "label_map": "keep"}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = entry_point(store, "main", *words, "--epochs", "12", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    mlflow.set_tracking_uri(store)
    run, served = runs(store, "evaluate")
    assert served.data.tags["ner.variant"] in ("fp32", "int8")
    assert {
        name.split("/")[1]
        for name in run.data.metrics
        if name.endswith("/support") and name.count("/") == 2
    } == set(types)
    assert run.data.metrics["test/f1"] > 0.1
    # The corpus gives words, so running text has a stand-in.
    assert {"standin/f1", "served/f1_lost"} <= set(run.data.metrics)
    assert "raw/f1" not in run.data.metrics
    names = {entry.path for entry in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)}
    assert {"type_scores.png", "entity_confusion.png", "errors.html", "slices.png"} <= names
    entities = mlflow.pyfunc.load_model("models:/it-ner@champion").predict(
        ["the server runs on name0 and name1 part1 after a update"]
    )[0]
    assert {entity["label"] for entity in entities} <= set(types)
    compared = entry_point(store, "compare", cwd=tmp_path)
    assert compared.returncode == 0, compared.stderr
    changed = entry_point(
        store,
        "robustness",
        *("--kinds", "entities,whitespace"),
        *("--sentences", "20"),
        cwd=tmp_path,
    )
    assert changed.returncode == 0, changed.stderr
