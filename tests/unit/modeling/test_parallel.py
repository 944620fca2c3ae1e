"""Processes share each batch, and settings that they cannot share are refused."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ner_mlflow.config.loading import load_config
from ner_mlflow.data.sample import generate_sample
from ner_mlflow.errors import ConfigError, ModelError
from ner_mlflow.modeling.backbone import resolve_backbone
from ner_mlflow.modeling.build import build_model
from ner_mlflow.modeling.callbacks import TrainingHooks
from ner_mlflow.modeling.dataset import TrainingData
from ner_mlflow.modeling.parallel import fit_in_processes
from ner_mlflow.modeling.sampling import SubwordBatches
from ner_mlflow.tagging.label_schema import LabelSchema

CORPUS = generate_sample(13)
SCHEMA = LabelSchema(("ERROR", "HARDWARE", "OS", "SOFTWARE", "VERSION"))


def train(processes: int, backbone: Path, folder: Path, **overrides: object) -> None:
    settings = {"train.processes": processes, "model.max_length": 48, **overrides}
    config = load_config(overrides=settings)
    build = partial(build_model, resolve_backbone(str(backbone)), config.model, SCHEMA, 1)
    data = TrainingData(CORPUS["train"][:64], CORPUS["validation"][:10], SCHEMA)
    fit_in_processes(build, data, config.train, folder, TrainingHooks())


@pytest.mark.parametrize("world_size", [2, 3, 8])
def test_processes_share_each_batch_and_each_has_a_window(world_size: int) -> None:
    lengths = np.random.default_rng(1).integers(3, 129, 403)
    shares = [
        list(SubwordBatches(lengths, 16, seed=5, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    assert all(len(share) == len(shares[0]) for share in shares)
    assert all(batch for share in shares for batch in share)
    assert sorted(index for share in shares for batch in share for index in batch) == list(
        range(403)
    )


def test_too_many_processes_for_the_batch_size_are_refused(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        ModelError,
        match=r"train.batch_size=4 is shared by 3 processes: set 6 or more, or fewer",
    ):
        train(3, tiny_backbone, tmp_path, **{"train.batch_size": 4})
    with pytest.raises(
        ConfigError, match=r"batch_size=15 cannot be shared by processes=2: set a multiple"
    ):
        train(2, tiny_backbone, tmp_path, **{"train.batch_size": 15, "train.batching": "sentences"})


def test_a_training_that_hooks_can_end_runs_in_one_process(
    tiny_backbone: Path, tmp_path: Path
) -> None:
    config = load_config(overrides={"train.processes": 2, "model.max_length": 48})
    build = partial(build_model, resolve_backbone(str(tiny_backbone)), config.model, SCHEMA, 1)
    data = TrainingData(CORPUS["train"][:64], CORPUS["validation"][:10], SCHEMA)
    hooks = TrainingHooks(on_epoch=lambda *_: None)
    with pytest.raises(ModelError, match="ended early runs in one process: set 1"):
        fit_in_processes(build, data, config.train, tmp_path, hooks)
