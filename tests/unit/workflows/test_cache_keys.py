"""A step repeats exactly when a file that its result depends on changes."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ner_mlflow import provenance, source_code

STEPS = ("data", "train", "evaluate", "export")
ALL = frozenset(STEPS)
MODELS = frozenset({"train", "evaluate", "export"})

REPEATED = {
    # The ground floor and the settings, whose values are part of every key.
    "config/schema.py": frozenset(),
    "presets/base.yaml": frozenset(),
    "version.py": frozenset(),
    "provenance.py": frozenset(),
    "redaction.py": frozenset(),
    "errors.py": ALL,
    # The core, each room by what uses it.
    "tagging/iob2.py": ALL,
    "tagging/decoding.py": MODELS,
    "tagging/encoding.py": MODELS,
    "tagging/onnx_engine.py": MODELS,
    "tagging/pyfunc.py": frozenset({"train", "export"}),
    "data/prepare.py": frozenset({"data"}),
    "data/sample_tables.yaml": frozenset({"data"}),
    "data/running_text.py": frozenset({"data", "evaluate", "export"}),
    "data/split_files.py": frozenset({"data"}),
    "data/no_corpus.yaml": frozenset({"data"}),
    "data/sentences.py": ALL,
    "data/rows.py": frozenset({"data"}),
    "label_maps/it5.yaml": frozenset({"data"}),
    "evaluation/scores.py": MODELS,
    "evaluation/slices.py": frozenset({"evaluate"}),
    "evaluation/text_scores.py": frozenset({"evaluate", "export"}),
    "evaluation/perturbations.py": frozenset(),
    "evaluation/perturbations.yaml": frozenset(),
    "evaluation/promotion.py": frozenset(),
    "modeling/build.py": MODELS,
    "modeling/layers.yaml": MODELS,
    "modeling/lora_targets.yaml": MODELS,
    "modeling/fit.py": frozenset({"train"}),
    "modeling/sampling.py": frozenset({"train"}),
    "modeling/distillation.py": frozenset({"train"}),
    "exporting/variants.py": frozenset({"export"}),
    "exporting/bundle.py": frozenset({"train", "export"}),
    "weak/augment.py": frozenset(),
    "weak_rules/it5.yaml": frozenset(),
    "sweeping/space.py": frozenset(),
    "prompting/prompts.yaml": frozenset(),
    # How results are found, logged and put together.
    "tracking/flavors.py": frozenset({"train", "export"}),
    "tracking/run.py": frozenset(),
    "tracking/records.py": frozenset(),
    "workflows/data.py": frozenset({"data"}),
    "workflows/train.py": frozenset({"train"}),
    "workflows/evaluate.py": frozenset({"evaluate"}),
    "workflows/export.py": frozenset({"export"}),
    "workflows/pipeline.py": frozenset(),
    "workflows/promote.py": frozenset(),
    "cli/main.py": frozenset(),
}
"""File that changes -> the steps that repeat."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the package; a test that changes a file restores it."""
    copy = tmp_path_factory.mktemp("package") / "ner_mlflow"
    shutil.copytree(source_code.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_code, "PACKAGE", copy)
        patch.setattr(provenance, "PACKAGE", copy)
        yield copy


@pytest.fixture(scope="module")
def unchanged(package: Path) -> dict[str, str]:
    """The fingerprints of the steps before any change."""
    return fingerprints(package)


def fingerprints(package: Path) -> dict[str, str]:
    """Return the fingerprint of each step."""
    provenance.step_fingerprint.cache_clear()
    modules = {step: str(package / "workflows" / f"{step}.py") for step in STEPS}
    return {step: provenance.step_fingerprint(module) for step, module in modules.items()}


@pytest.mark.parametrize("changed", REPEATED)
def test_a_change_repeats_the_steps_that_depend_on_it(
    package: Path, unchanged: dict[str, str], changed: str
) -> None:
    text = (package / changed).read_bytes()
    try:
        (package / changed).write_bytes(text + b"\n# a change\n")
        after = fingerprints(package)
    finally:
        (package / changed).write_bytes(text)
    assert {step for step in STEPS if unchanged[step] != after[step]} == REPEATED[changed]
